"""A run with an approximate index: served lists equal evaluated lists."""

import json
from pathlib import Path

from recbole_llmfashion.embedding import approximate_index
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.sessions import sessions


def test_index_is_saved_and_served(job, run_job, monkeypatch, capsys):
    monkeypatch.setattr(approximate_index, "_FEWEST", 50)
    found = run_job("near", "LLMFashionRec,CORE", ann_index="ivf")
    row = found.models["LLMFashionRec"]
    # no trained stage is computed again or renamed
    assert {"index_title", "index_items"} == set(row["seconds"]) - set(row["stages_reused"]) - {"total"}
    run = Path(found.run)
    assert json.loads((run / "title.json").read_text())["kind"] == "ivf" and (run / "items.faiss").is_file()
    assert run != Path(job.run) and not (Path(job.run) / "title.faiss").exists()
    recommender = Recommender.from_pretrained(run)
    for user, (actions, now) in sessions(found.data).items():
        lines = recommender.recommend(actions, now=now)
        assert [line.item for line in lines] == list(found.ranks.loc[user, "top"])
    recommender.remove_items([lines[0].item])
    assert "the title list is searched without its index" in capsys.readouterr().err
    assert next(line.item for line in recommender.recommend(actions, now=now)) != lines[0].item
