"""Fusion: the lists of LLMFashionRec without its LLM, on the shop of six items."""

import pytest
import torch

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.fusion import Fusion
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.quick_start.registry import load_config
from recbole_llmfashion.retrieval.fusion import fused_scores
from recbole_llmfashion.retrieval.fusion_weights import Candidates
from recbole_llmfashion.retrieval.ranking import ENCODER, FUSED, IMAGE, OF_RESPONSES
from tests.helpers.fakes import SMALL, write_tiny


def config_of(root, model, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    return load_config(model, "tiny", (), {**SMALL, **folders, "topk": [3], "valid_metric": "NDCG@3", **keys})


def kept_lists(monkeypatch, model):
    """The lists of the first batch that weights are chosen by, and every batch that a model ranks."""
    added, kept, add, ranked = [], [], Candidates.add, model.ranked

    def keep(self, interaction, lists=None):
        kept.append(ranked(self, interaction, lists))
        return kept[-1]

    def keep_lists(self, lists, *rest):
        added.append(lists)
        return add(self, lists, *rest)

    monkeypatch.setattr(model, "ranked", keep)
    monkeypatch.setattr(Candidates, "add", keep_lists)
    return added, kept


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = tmp_path_factory.mktemp("fusion")
    write_tiny(root)
    return root


def test_it_ranks_by_the_same_lists_and_no_response(shop, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "prepare", lambda *_: pytest.fail("an adapter is prepared"))
        patch.setattr(LanguageModel, "generate", lambda *_: pytest.fail("a response is generated"))
        mine, rankings = kept_lists(patch, Fusion)
        result = run_experiment(config_of(shop, "Fusion"), keep=True)
    assert sorted(result.seconds) == ["title", "total", "train_SASRecSampled"]  # no adapter, no responses
    assert set(result.details) >= {"fusion", "fusion_validation"} and not {"run", "generation"} & set(result.details)
    names = set(FUSED) - set(OF_RESPONSES) - {IMAGE}
    assert all(set(weights) == names for weights in result.details["fusion"].values())
    theirs, _ = kept_lists(monkeypatch, LLMFashionRec)
    other = run_experiment(config_of(shop, "LLMFashionRec"))
    assert {"train_SASRecSampled", "title"} <= set(other.reused)  # the stages are shared
    for name in names:
        assert torch.equal(mine[0][name], theirs[0][name]), name
    assert set(mine[0]) == names and set(theirs[0]) == names | set(OF_RESPONSES) - {ENCODER}
    for name in set(OF_RESPONSES) - {ENCODER}:
        assert not (theirs[0][name] == -1).all(), name
    # the test rows' order is that of the lists' scores by the reported weights
    ranked, weights = rankings[-1], result.details["fusion"]
    for row, group in enumerate("known" if known else "new" for known in ranked.known):
        lists = {name: items[row : row + 1] for name, items in ranked.lists.items()}
        scores = fused_scores(lists, weights[group], 6)[0]
        assert scores[ranked.order[row]].clamp(min=0).diff().max() <= 0 < scores.max()


def test_keys_without_meaning_are_refused_before_anything_trains(shop):
    with pytest.raises(UserError, match="ranking: expected fusion for Fusion, found 'beams'"):
        config_of(shop, "Fusion", ranking="beams")
    with pytest.raises(UserError, match=r"^source_dataset: Fusion has no list in zero-shot.*leave Fusion out$"):
        run_experiment(config_of(shop, "Fusion", source_dataset="other"))


def test_purchases_as_responses_are_not_asked_for(tmp_path):
    """Every training target is a click, which leaves LLMFashionRec no prompt."""
    head = "user_id:token\titem_id:token\taction:token\ttimestamp:float\n"
    actions = ((11, "click"), (12, "click"), (13, "purchase"))
    rows = "".join(f"u{u}\t{i}\t{a}\t{i}\n" for u in (1, 2, 3) for i, a in actions)
    write_tiny(tmp_path, head + rows, "")
    result = run_experiment(config_of(tmp_path, "Fusion", response_events="purchase"))
    equal = dict.fromkeys(sorted({*FUSED} - {ENCODER, IMAGE}), 1.0) | {"taken": 0.0}
    assert result.details == {"fusion": {"known": equal, "new": equal}, "rows": result.details["rows"]}
