"""What was removed stays removed when the service starts again, also without its token."""

import asyncio

import pytest

pytest.importorskip("ray.serve", reason="the extra `serve` is not installed")

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.manifest import OWN, write_manifest
from recbole_llmfashion.serving.messages import RecommendRequest
from recbole_llmfashion.serving.recommender import Recommender
from recbole_llmfashion.serving.web.app import RemoteModel, Replica, app
from recbole_llmfashion.serving.web.journal import Change
from recbole_llmfashion.serving.web.settings import read_settings, run_digest
from tests.helpers.service import Shop


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """Of a service with a journal that removed "a" of a shop with "a" and "b", and now without a token."""
    (tmp_path / "rows.json").write_text("[]")
    write_manifest(tmp_path, {"model": "LLMFashionRec"}, {OWN: tmp_path}, tmp_path)

    def shop(run, min_askers):
        recommender = Shop("a", "b")
        recommender.run_digest, recommender.memory_note = run_digest(run), ""
        return recommender

    monkeypatch.setattr(Recommender, "from_pretrained", shop)
    environ = {"LLMFASHION_RUN": str(tmp_path), "LLMFASHION_JOURNAL": str(tmp_path / "items.jsonl")}
    with_token = Replica(read_settings({}, environ | {"LLMFASHION_TOKEN": "s3cret"}))
    assert asyncio.run(with_token.change(Change(remove=("a",)))) is None
    return environ


def test_a_replica_without_a_token_replays_the_journal(environ):
    reply = asyncio.run(Replica(read_settings({}, environ)).recommend(RecommendRequest([], 1)))
    assert [line.item for line in reply.response.lines] == ["b"]


def test_a_journal_that_is_gone_is_noticed_without_a_token(environ, tmp_path, monkeypatch):
    web = RemoteModel(None, "shop", read_settings({}, environ))
    assert asyncio.run(web.trouble()) is None
    (tmp_path / "items.jsonl").unlink()
    assert asyncio.run(web.trouble()) == "the journal of item changes is gone"
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"items\.jsonl is gone"):
        app({})
