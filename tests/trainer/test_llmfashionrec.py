"""One pass over the test rows gives every ranking that the result reports; on the shop of six items."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.seq_knn import SeqKNN
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.quick_start.experiment import run_experiment
from recbole_llmfashion.retrieval.fusion import fused_scores
from recbole_llmfashion.retrieval.fusion_weights import Candidates
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
from recbole_llmfashion.retrieval.mixup import mixup
from recbole_llmfashion.retrieval.ranking import FUSED
from recbole_llmfashion.trainer import llmfashionrec
from recbole_llmfashion.trainer.llmfashionrec import LLMFashionRecTrainer
from tests.helpers.fakes import INTER, ITEM, SMALL, write_tiny

TEST_ROWS, VALID_ROWS = 3, 2
STAGES = ["train_SASRecSampled", "title", "adapter", "responses"]


def config_of(root, **keys):
    folders = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    fixed = {**SMALL, **folders, "topk": [1, 3, 6], "valid_metric": "NDCG@3", "tune_report_users": 1}
    return load_config(LLMFashionRec, "tiny", (), {**fixed, **keys})


def counting(builder_row, counts):
    """PromptBuilder.row that counts the rows of evaluation by their events."""

    def row(self, events, now, training=False):
        if not training:
            counts[tuple(events.ref.tolist()), now] += 1
        return builder_row(self, events, now, training)

    return row


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The dataset; the result of its first run by the default ranking; what its callback got; its encoded rows."""
    root, steps, encoded = tmp_path_factory.mktemp("one_pass"), [], Counter()
    write_tiny(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PromptBuilder, "row", counting(PromptBuilder.row, encoded))
        result = run_experiment(config_of(root), callback_fn=lambda *step: steps.append(step))
    return SimpleNamespace(root=root, result=result, steps=steps, encoded=encoded)


@pytest.fixture
def encoded(monkeypatch):
    counts = Counter()
    monkeypatch.setattr(PromptBuilder, "row", counting(PromptBuilder.row, counts))
    return counts


def test_rows_are_encoded_once(shop, encoded):
    """Once each in a run whose stages exist, whichever rankings it reports."""
    for ranking, rows in (("fusion", TEST_ROWS + VALID_ROWS), ("mixup", TEST_ROWS + VALID_ROWS), ("id", 5)):
        result = run_experiment(config_of(shop.root, ranking=ranking))
        assert sorted(result.reused) == sorted(STAGES)
        assert len(encoded) == rows and set(encoded.values()) == {1}, (ranking, encoded)
        encoded.clear()


def test_a_search_encodes_no_test_row(shop, encoded):
    result = run_experiment(config_of(shop.root), test=False)
    assert len(encoded) == VALID_ROWS and set(encoded.values()) == {1}
    assert result.metrics == {} and len(result.ranks) == 0 and "lists" not in result.details


def test_reported_rankings(shop):
    assert list(shop.result.details["lists"]) == ["id", "title", "beams", "mixup"]
    assert list(run_experiment(config_of(shop.root, ranking="beams")).details["lists"]) == ["id", "title", "mixup"]
    sampled = {"decoding": "sample", "response_title": "generated"}  # sampling has no beams, whatever their number
    for keys in ({"num_beams": 0}, sampled):
        assert list(run_experiment(config_of(shop.root, **keys)).details["lists"]) == ["id", "title", "mixup"]


@pytest.mark.parametrize("ranking", ["id", "title", "beams", "mixup"])
def test_metrics_beside_are_those_of_a_run_by_that_ranking(shop, ranking):
    alone = run_experiment(config_of(shop.root, ranking=ranking))
    beside = shop.result.details["lists"][ranking]
    assert beside == {name: value for name, value in alone.metrics.items() if name != "mrr"}
    assert set(beside) == {f"{metric}@{k}" for metric in ("recall", "ndcg", "mrr") for k in (1, 3, 6)}
    own = {name: value for name, value in shop.result.metrics.items() if name != "mrr"}
    assert own["recall@6"] == beside["recall@6"] == 1.0  # all six items


def test_mixup_on_validation_rows_with_ranking_mixup_only(shop, monkeypatch):
    assert shop.result.details["mixup_validation"] == {}
    result = run_experiment(config_of(shop.root, ranking="mixup", mixup_m=2))
    reported = result.details["mixup_validation"]
    assert list(reported) == ["1", "2", "3", "1, start 0", "2, start 0", "3, start 0"]
    assert {name.lower(): value for name, value in reported["2"].items()} == result.valid
    assert reported["1"] != reported["2"]
    joined = []
    monkeypatch.setattr(
        "recbole_llmfashion.retrieval.ranking.mixup", lambda *lists: joined.append(lists[-3:]) or mixup(*lists)
    )
    from_head = run_experiment(config_of(shop.root, ranking="mixup", mixup_m=3, mixup_title_start=0), test=False)
    assert {name.lower(): value for name, value in reported["3, start 0"].items()} == from_head.valid
    # (m, K, first position of the title list), and last the run's own
    assert joined == [(1, 10, 1), (2, 10, 2), (3, 10, 3), (1, 10, 0), (2, 10, 0), (3, 10, 0), (3, 10, 0)]


def test_lists_weights_and_counts_of_the_result(shop):
    details = shop.result.details
    assert {group: set(weights) for group, weights in details["fusion"].items()} == {
        group: {"beams", "id", "title", "session", "neighbors", "words", "memory", "taken"}
        for group in ("known", "new")
    }
    generation = details["generation"]
    assert generation["format_rate"] == generation["valid_id_rate"] == 1.0  # constrained decoding
    assert generation["fallback_rate"] == 0.0 and generation["prompts_truncated"] == 0
    assert generation["prompts_with_shortened_texts"] == generation["users_cut_in_neighbors"] == 0
    assert generation["clip"].startswith("none: ") and generation["title_pairs"] == "derived"
    assert "fusion" not in run_experiment(config_of(shop.root, ranking="id")).details


class Rows:
    """Validation rows, one batch: users 1 to 4, of whom 1 and 2 searched for a query of the log."""

    def __init__(self, history=None):
        self._dataset, self.uid_field, self.history = self, "user_id", history
        self.field2id_token = {"user_id": np.array(["[PAD]", "u1", "u2", "u3", "u4"])}

    def __len__(self):
        return 4

    def __iter__(self):
        targets = torch.tensor([1, 1, 2, 2]) + 1  # RecBole's ids
        yield {"user_id": torch.tensor([1, 2, 3, 4])}, self.history, None, targets


def model_of(lists):
    """A model whose four rows have these lists; the log holds the queries of the first two."""
    context = SimpleNamespace(known=torch.tensor([True, True, False, False]))
    batch = SimpleNamespace(context=context, heads=lambda _: lists)
    return SimpleNamespace(lists=lambda _: batch)


def test_each_group_of_rows_has_the_weights_that_its_rows_chose():
    """Only the memory is right for a known query, only the beams for a new one; with equal weights neither is first."""
    lists = {
        "beams": torch.tensor([[0], [0], [2], [2]]),
        "id": torch.tensor([[0], [0], [3], [3]]),
        "title": torch.tensor([[0], [0], [3], [3]]),
        "memory": torch.tensor([[1], [1], [3], [3]]),
    }
    model = model_of(lists)
    trainer = SimpleNamespace(model=model, fused=FUSED, pipeline=SimpleNamespace(answer=lambda _: None))
    LLMFashionRecTrainer._choose_weights(trainer, Rows())
    equal = fused_scores(lists, dict.fromkeys(lists, 1.0), 4)
    assert equal.argmax(1).tolist() == [0, 0, 3, 3]
    chosen = [fused_scores(lists, model.weights[group], 4)[row] for row, group in enumerate(("known", "known", "new"))]
    assert [int(scores.argmax()) for scores in chosen] == [1, 1, 2]
    report = trainer._fusion_validation
    for group in report.values():
        assert sum(group["rows"]) == 2
        assert all(ndcg == 1.0 for ndcg, rows in zip(group["chosen"], group["rows"], strict=True) if rows)
    # two of the four users in each half
    assert [sum(halves) for halves in zip(report["known"]["rows"], report["new"]["rows"], strict=True)] == [2, 2]


def test_masked_items_take_no_place_when_weights_are_chosen():
    """Item 0 is before every target in the only list, and in every history."""
    lists = {"beams": torch.tensor([[0, 1], [0, 1], [0, 2], [0, 2]])}
    history = torch.arange(4), torch.zeros(4, dtype=torch.int64) + 1
    for given, expected in ((None, 1 / np.log2(3)), (history, 1.0)):
        model = model_of(lists)
        trainer = SimpleNamespace(model=model, fused=FUSED, pipeline=SimpleNamespace(answer=lambda _: None))
        LLMFashionRecTrainer._choose_weights(trainer, Rows(given))
        for group in trainer._fusion_validation.values():
            assert all(
                ndcg == pytest.approx(expected)
                for ndcg, rows in zip(group["chosen"], group["rows"], strict=True)
                if rows
            )


def test_weights_and_the_figures_of_both_halves_are_recorded(shop):
    report = shop.result.details["fusion_validation"]
    assert report.keys() == {"known", "new"} == shop.result.details["fusion"].keys()
    for group in report.values():
        assert group.keys() == {"rows", "equal", "chosen"} and all(len(halves) == 2 for halves in group.values())
        assert all(chosen >= equal for chosen, equal in zip(group["chosen"], group["equal"], strict=True))
    assert sum(sum(group["rows"]) for group in report.values()) == VALID_ROWS


def test_weights_are_chosen_on_a_part_of_many_rows(shop, encoded, monkeypatch, caplog):
    """One of the two rows, that of u3, whose hash is less than u1's. Both are answered, encoded once and evaluated."""
    targets, add = [], Candidates.add
    monkeypatch.setattr(Candidates, "add", lambda *args: targets.append(args[2].tolist()) or add(*args))
    monkeypatch.setattr(llmfashionrec, "MOST_ROWS", VALID_ROWS)
    # u1 bought 14, u3 12: the fifth and the third item
    assert run_experiment(config_of(shop.root)).details == shop.result.details and targets == [[4, 2]]
    encoded.clear()
    monkeypatch.setattr(llmfashionrec, "MOST_ROWS", 1)
    with caplog.at_level("INFO"):
        result = run_experiment(config_of(shop.root))
    assert targets[1:] == [[2]] and "fusion: weights are chosen on 1 of 2 validation rows" in caplog.messages
    assert sum(sum(group["rows"]) for group in result.details["fusion_validation"].values()) == 1
    assert result.details["rows"]["valid"] == VALID_ROWS and set(encoded.values()) == {1}
    assert sorted(result.reused) == sorted(STAGES)


def test_the_neighbors_list_ranks_as_the_model_of_these_rows(shop, monkeypatch):
    """Its items are those that SeqKNN scores above 0 for the same rows, in its order."""
    heads = []
    top = NeighborList.top

    def kept(self, taken, depth):
        heads.append(top(self, taken, depth))
        return heads[-1]

    monkeypatch.setattr(NeighborList, "top", kept)
    monkeypatch.setattr(LLMFashionRecTrainer, "_choose_weights", lambda *_: None)  # it may choose 0
    run_experiment(config_of(shop.root))
    folders = {"data_path": str(shop.root), "checkpoint_dir": str(shop.root / "saved"), "topk": [6]}
    ranks = run_experiment(load_config(SeqKNN, "tiny", (), {**folders, "valid_metric": "NDCG@6"})).ranks
    assert len(ranks) == TEST_ROWS == len(heads[-1])  # the last rows that were ranked are the test rows
    catalogue = [line.split("\t")[0] for line in ITEM.splitlines()[1:]]
    for head, row in zip(heads[-1].tolist(), ranks.itertuples(), strict=True):
        listed = [catalogue[item] for item in head if item >= 0]
        assert list(row.top)[: len(listed)] == listed
    assert (heads[-1] >= 0).any()


def test_steps_that_a_callback_gets(shop):
    """The backbone alone and the adapter on one of the validation rows, then all of them; stages that exist train no
    more, so the first step is left out."""
    assert [step for step, _ in shop.steps] == [0, 1, 2]
    assert shop.steps[-1][1] == shop.result.valid["ndcg@3"]
    assert shop.result.reused == [] and sorted(shop.result.seconds) == sorted([*STAGES, "total"])
    again = []
    assert run_experiment(config_of(shop.root), callback_fn=lambda *step: again.append(step)).valid == shop.result.valid
    assert again == shop.steps[1:]


def test_masked_history_is_masked_in_every_ranking(shop):
    """u1 clicked or bought everything but its target, which is first in each list then."""
    masked = run_experiment(config_of(shop.root, mask_history=True))
    first = masked.ranks.set_index("user").loc["u1"]
    assert (first["target"], first["rank"], first["top"][0]) == ("16", 1, "16") and masked.details["mask_history"]
    for metrics in masked.details["lists"].values():
        assert metrics["recall@1"] >= 0.333333


def test_values_and_backbones_are_checked_before_anything_trains(tmp_path):
    write_tiny(tmp_path)
    with pytest.raises(UserError, match="mixup_k: expected a whole number of 1 or more, found '0'"):
        run_experiment(config_of(tmp_path, mixup_k=0))
    with pytest.raises(UserError, match="nowhere"):
        run_experiment(config_of(tmp_path, llm_name_or_path=str(tmp_path / "nowhere")))
    assert not (tmp_path / "saved").exists()


def test_no_response_is_found_before_anything_trains(tmp_path):
    """Without the purchases of 12 by u1 and 11 by u3 every training row has a click as target."""
    inter = INTER.replace("u1\t12\tpurchase", "u1\t12\tclick").replace("u3\t11\tpurchase", "u3\t11\tclick")
    write_tiny(tmp_path, inter)
    LLMFashionRecTrainer.validate_rows(config_of(tmp_path))
    with pytest.raises(
        UserError, match=r"^response_events: purchase leaves no training prompt, .* 3 training rows .*: all,"
    ):
        LLMFashionRecTrainer.validate_rows(config_of(tmp_path, response_events="purchase"))
    assert not (tmp_path / "saved").exists()


def test_responses_in_the_result(shop):
    names = ("prompts", "purchase_response_share", "users_without_prompt")
    assert [shop.result.details["generation"][name] for name in names] == [2, 1.0, 1]
