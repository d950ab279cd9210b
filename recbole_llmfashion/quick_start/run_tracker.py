"""The tracker of one run, as the keys log_tensorboard, log_wandb and wandb_project say."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.config.keys import RUNTIME_KEYS, keys_of
from recbole_llmfashion.files.changes import check_writable
from recbole_llmfashion.tracking import Track, Tracker, no_track


def check_tracking(config: LLMFashionConfig) -> None:
    """Checks that the folder of log_tensorboard can be written.

    Raises:
        UserError: it cannot.
    """
    if config["log_tensorboard"]:
        check_writable(Path(config["log_tensorboard"]), "log_tensorboard")


@contextmanager
def tracking(config: LLMFashionConfig) -> Iterator[Track]:
    """The track of a run, open within the context; it writes nothing where no key asks for it.

    Raises:
        UserError: the folder cannot be written, or Weights & Biases cannot start a run.
    """
    if not config["log_tensorboard"] and not config["log_wandb"]:
        yield no_track
        return
    tracker = tracker_of(config)
    try:
        tracker.open()
        yield tracker
    finally:
        tracker.close()


def tracker_of(config: LLMFashionConfig) -> Tracker:
    """A tracker that is not open yet; its run has a name that no other run has."""
    keys = {key: config.final_config_dict.get(key) for key in sorted(keys_of(config.model_class) - RUNTIME_KEYS)}
    about = {key: value for key, value in keys.items() if isinstance(value, str | int | float | bool | list | dict)}
    folder = config["log_tensorboard"]
    return Tracker(
        f"{config['model']}-{config['dataset']}-{datetime.now():%Y-%m-%d_%H-%M-%S}-{token_hex(3)}",
        Path(folder).absolute() if folder else None,
        str(config["wandb_project"]) if config["log_wandb"] else None,
        {"model": config["model"], "dataset": config["dataset"], **about},
    )
