"""A real run on `tiny`: what a measurement returns, and that inference settings train nothing again."""

import pytest

from recbole_llmfashion.study.cost import cost
from recbole_llmfashion.study.cost.measure import Cost
from recbole_llmfashion.study.runner import Runner
from tests.helpers.study import request_for

SMALL = [
    "--epochs=1", "--title_model={epochs: 1}", "--clip={epochs: 1}", "--llm_epochs=1", "--curriculum_epochs=1",
    "--lora_r=4", "--groups=beams", "--users=2",
]  # fmt: skip


@pytest.mark.slow
def test_settings_of_inference_share_every_trained_stage(shop):
    request = request_for(shop, *SMALL, study="cost")
    (table,) = cost(request, Runner(request)).tables
    assert [row.reason for row in table.rows] == [""] * 4
    tokens = {row.cells["tokens"] for row in table.rows}
    assert len(tokens) == 1 and 10 < tokens.pop() < 60
    assert all(row.cells["processor"] > 0 and row.cells["memory"] > 100 for row in table.rows)
    stages = [folder.name.partition("-")[0] for folder in (shop / "saved/tiny/stages").iterdir()]
    assert stages.count("adapter") == stages.count("cost") == 1 and stages.count("row") == 4


def test_cost_as_json():
    one = Cost(30.0, 2.0, 1.0, 900.0, None, 3, 1)
    assert Cost.from_json(one.as_json()) == one
