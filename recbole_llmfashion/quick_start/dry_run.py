"""The dry run: everything that a run checks, its settings and the counts of its data; nothing trains.

`check_config` is what a run checks too. `describe` also reads the data and builds each RecBole model on it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from recbole.utils import init_seed

from recbole_llmfashion.compat import build_model
from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.config.evaluation_keys import check_valid_metric
from recbole_llmfashion.config.keys import keys_of
from recbole_llmfashion.config.values import SESSION_MODELS
from recbole_llmfashion.data.atomic.field_names import FieldNames
from recbole_llmfashion.data.atomic.folder import check_clean, read_folder
from recbole_llmfashion.data.dataset import TARGET_PURCHASE, check_load_col
from recbole_llmfashion.data.loaders import Loaders, make_loaders, rows_of
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.training_examples import may_respond, most_prompts, training_rows
from recbole_llmfashion.quick_start.registry import get_model


def check_config(config: LLMFashionConfig, rows: bool = True) -> None:
    """Checks the keys of a model, and those of the models that it trains or reads.

    Args:
        rows: whether to check what needs the rows too, for which they are read; a run checks it with its own rows.

    Raises:
        UserError: a value that a model cannot use, a backbone or a folder that cannot be read.
    """
    check_valid_metric(config)
    check_load_col(config)
    trainer = get_model(config["model"]).trainer
    trainer.validate_config(config)
    _parts_of(config)
    if rows:
        trainer.validate_rows(config)


def check_files(config: LLMFashionConfig) -> None:
    """Reads the files of a config's dataset, for a command that trains many models on it.

    Raises:
        UserError: the files break the format.
    """
    check_clean(read_folder(Path(config["data_path"]), config["dataset"], names=FieldNames.of(config)))


def _parts_of(config: LLMFashionConfig) -> dict[str, LLMFashionConfig]:
    """The configs of the models that a model trains or takes parts of, by name."""
    names = set(get_model(config["model"]).needs_keys_of)
    if "session_model" in config.final_config_dict:  # of the others no part is read
        names -= {*SESSION_MODELS} - {config["session_model"]}
    return {name: config.sibling(get_model(name).model) for name in sorted(names)}


def describe(configs: Mapping[str, LLMFashionConfig]) -> str:
    """The settings of each model and the counts of its data, as text.

    Args:
        configs: of models on one dataset, by name or by label of a row, after check_config. The counts of the dataset
            are those of the first.

    Raises:
        UserError: the data breaks the format, has no rows for a model, or a model cannot be built on it.
    """
    parts_of = {part: (name, own) for name, config in configs.items() for part, own in _parts_of(config).items()}
    values = {name: _settings(config) for name, config in configs.items()}
    first, *rest = values.values()
    common = {key: value for key, value in first.items() if all(key in own and own[key] == value for own in rest)}
    parts = [_section("keys of every model", common)] if rest else []
    models = {config["model"] for config in configs.values()}
    counts: dict[str, Any] = {}
    for name, config in configs.items():
        loaders = make_loaders(config)
        counts = counts or _counts(loaders)
        _build(config, loaders)
        own = {key: value for key, value in values[name].items() if not rest or key not in common}
        parts.append(_section(name, own | {"rows": _rows(config, loaders)}))
    for part, (name, config) in parts_of.items():
        if part not in models:
            own = {key: value for key, value in _settings(config).items() if common.get(key) != value}
            parts.append(_section(f"{part}, a part of {name}", own))
    dataset = next(iter(configs.values()))["dataset"]
    return "\n".join([_section(f"dataset {dataset}", counts), *parts])


def _section(title: str, values: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(dict(values), default_flow_style=None, sort_keys=False, allow_unicode=True, width=100)
    return f"== {title}\n{text}"


def _settings(config: LLMFashionConfig) -> dict[str, Any]:
    """The keys of a model with a value, in the order of their names."""
    names = sorted(keys_of(config.model_class) - {"model", "dataset"})
    found = {key: config.final_config_dict.get(key) for key in names}
    plain = (str, int, float, bool, list, dict)
    return {key: value for key, value in found.items() if isinstance(value, plain) and value not in ("", [], {})}


def _counts(loaders: Loaders) -> dict[str, Any]:
    dataset = loaders.dataset
    return {
        "users": int(dataset.user_num) - 1,
        "items": len(dataset.catalogue),
        "interactions": len(dataset.timeline.length_before),
        "searches": len(dataset.search_log),
        "rows filtered": dataset.rows_filtered,
        "clicks filtered": dataset.clicks_filtered,
        "users left out": sum(dataset.left_out.values()),
        "timestamps": "dates" if dataset.has_dates else "an order only",
    }


def _rows(config: LLMFashionConfig, loaders: Loaders) -> dict[str, Any]:
    parts = {"train": loaders.train, "valid": loaders.valid, "test": loaders.test}
    counts: dict[str, Any] = {name: len(rows_of(loader)) for name, loader in parts.items()}
    if "prompts_per_user" in config.final_config_dict and not config["source_dataset"]:
        feat: Any = rows_of(loaders.train).inter_feat
        users, purchase = feat[config["USER_ID_FIELD"]].numpy(), feat[TARGET_PURCHASE].numpy()
        responses = config["response_events"]
        rows = training_rows(users, purchase, config["prompts_per_user"], responses)
        # further prompts show the actions that did not fit; how many depends on the memory, whose text tower is trained
        most = most_prompts(users, rows, may_respond(purchase, responses)) if config["loss_on_history"] else len(rows)
        counts["training prompts"] = len(rows) if most == len(rows) else f"{len(rows)} to {most}"
    return counts


def _build(config: LLMFashionConfig, loaders: Loaders) -> None:
    """Builds a model as a run does, and drops it."""
    init_seed(config["seed"], config["reproducibility"])
    try:
        build_model(config.model_class, config, rows_of(loaders.train))
    except UserError:
        raise
    except Exception as error:  # of RecBole's models, whose errors have no common base class
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise UserError(f"{config['model']}: cannot be built with these keys and this data ({reason})") from error
