"""What a fine-tuning gives to its track."""

from dataclasses import replace

import pytest

from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.validation import ValidationRows
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from tests.helpers.fakes import SMALL
from tests.helpers.training import SETTINGS, STEPS, examples, item_tokens, together

FOLDER = str(SMALL["llm_name_or_path"])


def tracked(ranks=None, **changed):
    """The log of a fine-tuning, and (step, value) of each curve."""
    index, curves = item_tokens(FOLDER), {}

    def track(step, values):
        for name, value in values.items():
            curves.setdefault(name, []).append((step, value))

    backbone = load_backbone(FOLDER, "none", device="cpu")
    add_item_tokens(backbone, index)
    settings = replace(SETTINGS, **changed)
    rows = ValidationRows(examples(index, 4), None) if settings.early_stopping_patience else None
    more = {} if ranks is None else {"workers": ranks}
    log = finetune(backbone, examples(index), settings, False, lambda _: 0.5, validation=rows, track=track, **more)
    return log, curves


def test_curves_are_those_of_the_log():
    log, curves = tracked(warmup_ratio=0.5, early_stopping_patience=9)
    assert curves.keys() == {
        "loss", "learning_rate", "tokens_per_second", "perplexity_mean", "perplexity_median", "format_failures",
        "validation_score",
    }  # fmt: skip
    assert curves["loss"] == list(enumerate(log.losses, 1)) and len(log.losses) == STEPS
    peak = SETTINGS.learning_rate  # half of the eight steps warm up, from the first fourth of the peak on
    assert [rate for _, rate in curves["learning_rate"]] == pytest.approx(
        [peak * share for share in (0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25)]
    )
    assert [step for step, _ in curves["perplexity_mean"]] == [0, 6, 8] == [s for s, _ in curves["format_failures"]]
    assert [value for _, value in curves["perplexity_mean"]] == [entry["mean"] for entry in log.perplexity.values()]
    assert curves["validation_score"] == list(zip([3, 6, 7, 8], log.validation, strict=True))
    assert all(value > 0 for _, value in curves["tokens_per_second"])


def test_of_several_workers_the_first_one_tracks():
    (log, first), (_, second) = together(2, lambda ranks: tracked(ranks, epochs=1, curriculum_epochs=0))
    assert first["loss"] == list(enumerate(log.losses, 1)) and second == {}
