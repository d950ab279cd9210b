"""Metrics in Prometheus' text format."""

import pytest

pytest.importorskip("prometheus_client", reason="the extra `serve` is not installed")

from recbole_llmfashion.serving.messages import BatchReply, Recommendation, RecommendResponse
from recbole_llmfashion.serving.web.metrics import Metrics


def test_counts():
    metrics = Metrics()
    metrics.started()
    metrics.started()
    metrics.finished("/recommend", 200, 0.02)
    lines = [Recommendation("a", "A", 2.0, "id"), Recommendation("b", "B", 1.0, "id")]
    metrics.served(BatchReply(RecommendResponse(lines, {"unknown_items": 3}), 4))
    text = metrics.text().decode().splitlines()
    for line in (
        'llmfashion_requests_total{path="/recommend",status="200"} 1.0',
        'llmfashion_request_seconds_bucket{le="0.01",path="/recommend"} 0.0',
        'llmfashion_request_seconds_bucket{le="0.025",path="/recommend"} 1.0',
        "llmfashion_requests_inside 1.0",
        "llmfashion_batch_sessions_sum 4.0",
        'llmfashion_items_total{list="id"} 2.0',
        'llmfashion_left_out_total{why="unknown_items"} 3.0',
    ):
        assert line in text, line


def test_each_instance_starts_at_zero():
    Metrics().started()
    assert "llmfashion_requests_inside 0.0" in Metrics().text().decode()
