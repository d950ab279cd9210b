"""The score of validation rows."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning import curriculum, validation
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.finetuning.validation import ValidationRows, gains, target_ranks, validation_score
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from tests.helpers.training import ITEMS, SETTINGS, examples, item_tokens, trained

STOPPING = replace(SETTINGS, epochs=5, curriculum_epochs=6, learning_rate=5e-2, early_stopping_patience=2)


@pytest.fixture
def backbone(folder: Any) -> Backbone:
    """A small Falcon with twelve items."""
    backbone = load_backbone(str(folder), "none", device="cpu")
    add_item_tokens(backbone, item_tokens(str(folder)))
    return backbone


@pytest.fixture
def rows(folder: Any) -> ValidationRows:
    """Twenty-two prompts, each with one token as response."""
    tokens = item_tokens(str(folder))
    shown = [Example(e.prompt, e.response[:1], e.prompt_targets) for e in examples(tokens)]
    return ValidationRows(shown, range(tokens.first, tokens.first + ITEMS))


def test_gain_by_rank() -> None:
    assert gains(torch.tensor([0.0, 1.0, 2.0, 9.0, 10.0])).tolist() == pytest.approx(
        [1, 1 / math.log2(3), 0.5, 1 / math.log2(11), 0]
    )
    # half of a tie of three
    assert target_ranks(torch.tensor([[2.0, 5.0, 2.0, 2.0]]), torch.tensor([3])).tolist() == [2.0]


def test_ndcg_equals_that_of_each_prompt_alone(backbone: Backbone, rows: ValidationRows) -> None:
    model, span = backbone.model.train(), rows.item_tokens
    assert span is not None
    gained = []
    for example in rows.examples:
        with torch.no_grad():
            logits = model.eval()(input_ids=torch.from_numpy(example.prompt.astype(np.int64))[None]).logits[0, -1]
        items = logits[span.start : span.stop]
        rank = int((items > items[int(example.response[0]) - span.start]).sum())
        gained.append(1 / math.log2(rank + 2) if rank < 10 else 0.0)
    model.train()
    assert validation_score(model, rows, 4, False) == pytest.approx(float(np.mean(gained)), abs=1e-6)
    assert model.training


def test_ids_of_several_tokens_by_likelihood(backbone: Backbone, rows: ValidationRows) -> None:
    several = ValidationRows([Example(e.prompt, np.r_[e.response, 1].astype(np.int32)) for e in rows.examples], None)
    with torch.no_grad():
        log_likelihoods = []
        for example in several.examples:
            ids = torch.from_numpy(np.concatenate([example.prompt, example.response]).astype(np.int64))[None]
            log = backbone.model(input_ids=ids).logits[0].log_softmax(-1)
            at = len(example.prompt)
            log_likelihoods.append(float(log[[at - 1, at], ids[0, at : at + 2]].mean()))
    assert validation_score(backbone.model, several, 4, False) == pytest.approx(
        float(np.mean(log_likelihoods)), abs=1e-5
    )


def test_out_of_memory_halves_the_batch(
    backbone: Backbone, rows: ValidationRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 22 prompts by eight, two fit: 8 and 4 fail, then eleven forwards of two."""
    expected, sizes, whole = validation_score(backbone.model, rows, 8, False), [], validation.logits_at

    def limited(model: Any, ids: torch.Tensor, *rest: Any) -> torch.Tensor:
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return whole(model, ids, *rest)

    monkeypatch.setattr(validation, "logits_at", limited)
    assert validation_score(backbone.model, rows, 8, False) == pytest.approx(expected, abs=1e-6)
    assert sizes == [8, 4, *[2] * 11]


def test_the_best_epoch_is_kept(folder: Any, backbone: Backbone, rows: ValidationRows) -> None:
    log = finetune(backbone, examples(item_tokens(str(folder))), STOPPING, False, validation=rows)
    best = int(np.argmax(log.validation))
    assert log.best_epoch == best + 1
    assert validation_score(log.model, rows, 5, False) == pytest.approx(log.validation[best], abs=1e-6)
    assert len(log.validation) in (best + 3, 6)  # two epochs without a better one, or all epochs


def test_interrupted_within_an_epoch(
    folder: Any, rows: ValidationRows, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tune(checkpoint: CheckpointFolder | None) -> Any:
        backbone = load_backbone(str(folder), "none", device="cpu")
        add_item_tokens(backbone, item_tokens(str(folder)))
        return finetune(
            backbone, examples(item_tokens(str(folder))), STOPPING, False, checkpoint=checkpoint, validation=rows
        )

    whole = tune(None)
    checkpoint, saves = CheckpointFolder(tmp_path, 1), 0
    save = CheckpointFolder.save

    def killed(self: CheckpointFolder, *args: Any) -> Any:
        nonlocal saves
        saves += 1
        done = save(self, *args)
        if saves == 8:  # within the third epoch
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(CheckpointFolder, "save", killed)
        tune(checkpoint)
    resumed = tune(checkpoint)
    assert resumed.resumed_at == [8] and resumed.validation == whole.validation
    assert resumed.best_epoch == whole.best_epoch and torch.equal(trained(resumed), trained(whole))


def test_validation_rows_and_patience_go_together(backbone: Backbone, random_examples: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="early_stopping_patience"):
        finetune(backbone, random_examples(4, 0), FinetuneSettings(early_stopping_patience=1), False)


def test_a_stop_in_the_first_phase_leaves_out_the_second(
    folder: Any, backbone: Backbone, rows: ValidationRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.4, 0.3, 0.9])
    monkeypatch.setattr(curriculum, "validation_score", lambda *_: next(scores))
    log = finetune(backbone, examples(item_tokens(str(folder))), STOPPING, False, validation=rows)
    assert (log.validation, log.best_epoch, log.hard_examples) == ([0.5, 0.4, 0.3], 1, 0)
    assert len(log.losses) == 3 * 3  # three steps per epoch
