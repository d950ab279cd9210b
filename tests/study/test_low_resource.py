"""Metrics by share of training users."""

import pytest

from recbole_llmfashion.study import (
    low_resource,
)
from recbole_llmfashion.study.report.document import Value
from recbole_llmfashion.study.runner import Runner
from tests.helpers.study import request_for


def test_low_resource_by_hand(shop, run_with):
    def ranks(config):
        return (1, 1, 1) if config["train_share"] == 1.0 else (10, 10, 10)

    run_with({"SASRec": ranks})
    request = request_for(shop, "--models=SASRec,CORE", "--shares=5,100", study="low-resource")
    document = low_resource.low_resource(request, Runner(request))
    rows = {row.label: row for row in document.tables[0].rows}
    assert rows["SASRec"].cells == {"5": Value(pytest.approx(0.28906, abs=1e-5)), "100": Value(1.0)}
    assert "not here" in rows["CORE"].reason
    assert document.figures[0].series[0].y == [pytest.approx(0.28906, abs=1e-5), 1.0]
    assert document.figures[0].series[1].y == [None, None]
    assert low_resource.shares(request_for(shop, "--shares=5,5.0,100", study="low-resource")) == [5.0, 100.0]
    with pytest.raises(Exception, match=r"--shares: expected percentages .*; found '0,5'"):
        low_resource.shares(request_for(shop, "--shares=0,5", study="low-resource"))
