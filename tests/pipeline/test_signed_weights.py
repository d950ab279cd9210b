"""Weights of the fused lists in a run folder: which may be negative, and what is served by them."""

import json
from pathlib import Path

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.manifests import rewrite_manifest


def test_only_what_the_customer_took_may_have_a_negative_weight(job, tmp_path):
    out = tmp_path / "run"
    export_run(Path(job.run), out, min_askers=1)
    settings = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["settings"]
    groups = settings["mixing"]["weights"].values()
    for taken, ids_first in ((8.0, True), (-8.0, False)):
        for weights in groups:
            weights.update(dict.fromkeys(weights, 1.0) | {"taken": taken})
        rewrite_manifest(out, settings=settings)
        recommender = Recommender.from_pretrained(out)
        item = recommender.state.pool.catalogue.item_ids[0]
        lines = recommender.recommend([{"action": "click", "item_id": item, "timestamp": 1700000000}])
        assert (lines[0].item == item and lines[0].list == "taken") == ids_first
        assert (item in [line.item for line in lines]) == ids_first
    next(iter(groups))["words"] = -1.0
    rewrite_manifest(out, settings=settings)
    with pytest.raises(UserError, match=r"settings\.mixing\.weights\.\w+\.words is unknown or negative"):
        Recommender.from_pretrained(out)
