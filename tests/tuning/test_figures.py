"""The figure of a search."""

import pytest
from PIL import Image

from recbole_llmfashion.tuning import figures
from recbole_llmfashion.tuning.space import Domain, Space
from tests.helpers.tuning import hand_written_log


@pytest.fixture
def journal(tmp_path):
    return hand_written_log(tmp_path)


SPACE = Space(
    {
        "learning_rate": Domain("loguniform", low=1e-3, high=1e-1),
        "train_targets": Domain("choice", values=("all", "purchase")),
    }
)


def test_position_on_an_axis():
    assert figures.place(SPACE.domains["learning_rate"], 1e-2) == pytest.approx(0.5)
    assert figures.place(SPACE.domains["train_targets"], "purchase") == 1.0
    assert figures.place(Domain("choice", values=([1], [2], [3])), [2]) == 0.5
    assert figures.place(Domain("choice", values=(5,)), 5) == 0.0


@pytest.mark.parametrize("some", [True, False])
def test_figure_with_and_without_trials(journal, tmp_path, some):
    trials = list(journal.trials.values()) if some else []
    figures.draw(tmp_path / "search.png", SPACE, trials, "NDCG@10", True)
    image = Image.open(tmp_path / "search.png").convert("L")
    dark = sum(image.histogram()[:128])
    assert image.width > 600 and dark > (2_000 if some else 500)
