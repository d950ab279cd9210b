"""The mode of a model comes back."""

import pytest
from torch import nn

from recbole_llmfashion.llm.eval_mode import eval_mode


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_comes_back(training: bool) -> None:
    model = nn.Sequential(nn.Dropout(0.9)).train(training)
    with eval_mode(model):
        assert not model.training and not model[0].training
    assert model.training is training


def test_after_an_error() -> None:
    model = nn.Dropout(0.9)
    with pytest.raises(RuntimeError, match="stop"), eval_mode(model):
        raise RuntimeError("stop")
    assert model.training
