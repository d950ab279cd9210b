"""A run whose lists are searched by an approximate index: evaluated and served alike."""

import json
from pathlib import Path

from recbole_llmfashion.embedding import approximate_index
from recbole_llmfashion.serving.recommender import Recommender
from tests.helpers.sessions import sessions


def test_the_index_is_kept_with_the_run_and_served_as_evaluated(job, run_job, monkeypatch, capsys):
    monkeypatch.setattr(approximate_index, "_FEWEST", 50)
    found = run_job("near", "LLMFashionRec,CORE", ann_index="ivf")
    row = found.models["LLMFashionRec"]
    # nothing is learned anew, and nothing of what is learned changes its name
    assert {"index_title", "index_items"} == set(row["seconds"]) - set(row["stages_reused"]) - {"total"}
    run = Path(found.run)
    assert json.loads((run / "title.json").read_text())["kind"] == "ivf" and (run / "items.faiss").is_file()
    assert run != Path(job.run) and not (Path(job.run) / "title.faiss").exists()
    recommender = Recommender.load(run)
    for user, (actions, now) in sessions(found.data).items():
        lines = recommender.recommend(actions, now=now)
        assert [line.item for line in lines] == list(found.ranks.loc[user, "top"])
    recommender.remove_items([lines[0].item])
    assert "the title list is searched without its index" in capsys.readouterr().err
    assert next(line.item for line in recommender.recommend(actions, now=now)) != lines[0].item
