"""The model with fakes for its parts: what an answer does to the scores, and what is counted."""

import numpy as np
import torch
from recbole.data.interaction import Interaction

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.data.loaders import make_loaders
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.model.llmfashionrec import LLMFashionRec
from recbole_llmfashion.model.popularity import Popularity
from recbole_llmfashion.prompt.dataloader import (
    ACTED_ITEMS,
    MEMORY_ITEMS,
    PROMPT_IDS,
    PROMPT_ITEMS,
    QUERY_KNOWN,
    TAKEN_ITEMS,
)
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.retrieval.lists.id_list import IdList
from recbole_llmfashion.retrieval.lists.title_list import TitleList
from recbole_llmfashion.retrieval.rankers import Rankers
from tests.helpers.fakes import hash_encoder, write_tiny

# catalogue positions:  0: 16  1: 11  2: 12  3: 13  4: 14  5: 15
TABLE = np.array([[1, 0], [0.9, 0.1], [0.8, 0.2], [0, 1], [0.1, 0.9], [0.5, 0.5]], np.float32)


def make_model(root, answers, **keys):
    """A model that mixes the lists as the paper does, unless `keys` say otherwise."""
    write_tiny(root)
    keys = {"data_path": str(root), "topk": [3], "ranking": "mixup", **keys}
    config = load_config(LLMFashionRec, "tiny", overrides=keys)
    dataset = make_loaders(config).train._dataset
    model = LLMFashionRec(config, dataset)
    tie = tie_rank(dataset.catalogue.item_ids)
    titles = hash_encoder(dataset.catalogue.titles)
    rankers = Rankers(
        position_of={token: i for i, token in enumerate(dataset.catalogue.item_ids)},
        id_list=IdList(TABLE, tie),
        title_list=TitleList(titles, hash_encoder, tie),
        popularity=dataset.popularity(),
    )
    model.attach(rankers, lambda prompts: [Response(answers[int(prompt[0])]) for prompt in prompts])
    return model


def batch(rows, recalled=None, shown=None):
    return Interaction(
        {
            "item_id": torch.ones(rows, dtype=torch.int64),
            PROMPT_IDS: torch.stack([torch.arange(rows), torch.full((rows,), -1)], dim=1),
            PROMPT_ITEMS: torch.tensor(shown or [[0]] * rows),
            ACTED_ITEMS: torch.zeros(rows, 1, dtype=torch.int64),
            TAKEN_ITEMS: torch.zeros(rows, 1, dtype=torch.int64),
            QUERY_KNOWN: torch.zeros(rows, dtype=torch.bool),
            MEMORY_ITEMS: torch.tensor(recalled or [[0]] * rows),
        }
    )


def order(model, interaction):
    """Catalogue positions, best first."""
    scores = model.full_sort_predict(interaction)
    assert scores.shape == (len(interaction), 7) and scores.isfinite().all()
    assert all(len(row.unique()) == 7 for row in scores) and (scores[:, 0] == scores.min(dim=1).values).all()
    return (scores.argsort(dim=1, descending=True)[:, :-1] - 1).tolist()


def test_mixup_of_both_lists(tmp_path):
    model = make_model(tmp_path, ["product ID: 16, title: Vela White Sandals"])
    found = order(model, batch(1))[0]
    # ID list 0 ..; title list 4 (exact), 3 (two words); m = 1 skips the title list's head until K is full
    assert found[0] == 0 and found[1] == 3
    lists = model.lists(batch(1))
    for ranking, head in (("title", [4, 3]), ("id", [0, 1, 2, 5])):
        assert lists.rank(model.ranking_settings(ranking=ranking)).order[0].tolist()[: len(head)] == head
    assert model.ranking_settings(m=3, title_start=0).title_start == 0 and model.ranking_settings().title_start == 1


def test_title_start_zero(tmp_path):
    model = make_model(tmp_path, ["product ID: 16, title: Vela White Sandals"], mixup_title_start=0)
    assert order(model, batch(1))[0][:3] == [0, 4, 3]


def test_fallbacks_are_taken_and_counted(tmp_path):
    answers = [
        "product ID: 12, title: Plain Socks",
        "product ID: 999, title: Plain Socks",  # no such ID: the title list from its head
        "product ID: 13, title:",  # no title: the ID list
        "gibberish",  # neither: the memory
        "gibberish",  # nor a memory: popularity
    ]
    model = make_model(tmp_path, answers)
    recalled = [[0, 0], [0, 0], [0, 0], [5, 1], [0, 0]]
    interaction = batch(5, recalled=recalled, shown=[[3], [0], [0], [0], [0]])
    found = order(model, interaction)
    assert found[0][0] == 2 and found[1][0] == 5
    assert found[2] == [3, 4, 5, 2, 1, 0]  # by cosine in the table
    assert found[3][:2] == [4, 0] and found[3][2] == 1  # the memory's products in its order, then the most popular
    assert found[4][0] == 1 and set(found[4][-2:]) == {4, 5}  # training actions: 1 2 1 1 0 0
    rates = model.stats.rates()
    assert rates == {
        "format_rate": 0.4, "valid_id_rate": 0.4, "in_prompt_rate": 0.2, "fallback_rate": 0.8,
        "no_id_list_rate": 0.2, "no_title_list_rate": 0.2, "memory_list_rate": 0.2, "popularity_list_rate": 0.2,
    }  # fmt: skip


def test_the_memory_may_be_left_out_of_the_fallback(tmp_path):
    model = make_model(tmp_path, ["gibberish"], empty_response_fallback="popularity")
    assert order(model, batch(1, recalled=[[5, 1]]))[0][0] == 1  # the most popular, though the memory had products
    rates = model.stats.rates()
    assert (rates["memory_list_rate"], rates["popularity_list_rate"]) == (0.0, 1.0)


def test_predict_is_the_score_of_the_own_item(tmp_path):
    model = make_model(tmp_path, ["product ID: 16, title: x"])
    assert model.predict(batch(1)).tolist() == [model.full_sort_predict(batch(1))[0, 1].item()]


def test_popularity_counts_the_training_part_only(tmp_path):
    write_tiny(tmp_path)
    config = load_config(Popularity, "tiny", overrides={"data_path": str(tmp_path), "topk": [3]})
    loaders = make_loaders(config)
    # training part: u1 11, 12, 13 and u3 16, 11; the purchases of 14, 15, 16 at the end are not in it
    assert loaders.dataset.popularity().tolist() == [1, 2, 1, 1, 0, 0]
    scores = Popularity(config, loaders.train._dataset).full_sort_predict(batch(2))
    assert scores.shape == (2, 7) and scores[0].argmax() == 2 and torch.equal(scores[0], scores[1])
