"""Which epoch is kept and when a fine-tuning stops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import Parameter

from recbole_llmfashion.llm.finetuning.early_stopping import EarlyStopping, other_tensors


def run(scores: list[float], patience: int) -> tuple[EarlyStopping, Parameter]:
    """Epochs whose only parameter is their number, until the scores end or the run stops."""
    parameter = Parameter(torch.zeros(1))
    stopping = EarlyStopping([parameter], patience)
    for epoch, score in enumerate(scores, start=1):
        with torch.no_grad():
            parameter.fill_(epoch)
        stopping.add(score)
        if stopping.stop:
            break
    return stopping, parameter


def test_stops_after_two_epochs_without_a_better_score() -> None:
    stopping, parameter = run([0.1, 0.3, 0.2, 0.3, 0.9], patience=2)
    assert (len(stopping.scores), stopping.best_epoch) == (4, 2)
    stopping.restore()
    assert parameter.item() == 2


def test_without_a_score_the_parameters_stay() -> None:
    stopping, parameter = run([], patience=1)
    stopping.restore()
    assert (parameter.item(), stopping.best_epoch, stopping.stop) == (0, 0, False)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 4))
def test_the_first_of_the_best_scores_is_kept(scores: list[int], patience: int) -> None:
    stopping, parameter = run([score / 5 for score in scores], patience)
    seen = scores[: len(stopping.scores)]
    stopping.restore()
    assert parameter.item() == stopping.best_epoch == 1 + int(np.argmax(seen))
    assert stopping.stop == (len(seen) - stopping.best_epoch >= patience)


def test_checkpoint() -> None:
    stopping, parameter = run([0.1, 0.3, 0.2], patience=3)
    tensors = stopping.tensors() | {"0.0.exp_avg": torch.ones(1)}
    assert other_tensors(tensors).keys() == {"0.0.exp_avg"}
    other = EarlyStopping([parameter], 3)
    other.load(tensors, stopping.scores)
    other.restore()
    assert (parameter.item(), other.best_epoch) == (2, 2)
    with pytest.raises(KeyError):
        other.load(other_tensors(tensors), stopping.scores)
