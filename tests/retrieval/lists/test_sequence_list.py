"""The encoder without RecBole is RecBole's SASRec, and the list ranks by its scores."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from recbole_llmfashion.data.loaders import make_loaders, rows_of
from recbole_llmfashion.data.tie_breaking import tie_rank
from recbole_llmfashion.quick_start.registry import get_model, load_config
from recbole_llmfashion.retrieval.lists.sequence_list import EncoderSettings, SequenceEncoder, SequenceList, newest
from recbole_llmfashion.trainer.recbole_models import load_id_model
from tests.helpers.fakes import purchases_only

VARIANTS = [
    ("SASRecSampled", {}),
    ("SASRec", {"n_layers": 3, "n_heads": 4, "hidden_act": "relu"}),
    ("SASRec", {"hidden_act": "swish", "layer_norm_eps": 0.1, "MAX_ITEM_LIST_LENGTH": 3}),
    ("SASRecSampled", {"hidden_act": "tanh", "n_heads": 2, "inner_size": 8}),
    ("SASRec", {"hidden_act": "sigmoid", "hidden_size": 16}),
    ("SASRecSampled", {"similarity": "cosine"}),
]


@pytest.mark.parametrize(("name", "keys"), VARIANTS, ids=str)
def test_the_list_ranks_as_recboles_model(tmp_path, name, keys):
    """Histories of up to nine items, longer than the model reads in one variant."""
    purchases_only(tmp_path, users=12, items=40, length=10)
    config = load_config(name, "bought", (), {"data_path": str(tmp_path), **keys})
    loaders = make_loaders(config)
    rows = rows_of(loaders.test)
    torch.manual_seed(1)
    model = get_model(name).model(config, rows_of(loaders.train))
    for weight in model.parameters():  # trained weights are larger, and no bias is zero
        weight.data += 0.3 * torch.randn_like(weight)
    model.eval()
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    loaded = load_id_model(tmp_path, config)
    batch = rows[torch.arange(len(rows))]
    scores = model.full_sort_predict(batch)[:, 1:].detach()
    tie = tie_rank(loaders.dataset.catalogue.item_ids)
    histories = loaders.dataset.timeline
    taken = [histories.events(user, 9).items() for user in batch["user_id"].tolist()]
    ranks = SequenceList(loaded.encoder, loaded.table, tie)
    assert len(rows) == 12 and scores.std() > 0.1
    torch.testing.assert_close(ranks(torch.tensor(taken)).top(40), scores.argsort(dim=1, descending=True))
    # gaps and padding are not read, and a row is ranked alone as in a batch
    gaps = torch.tensor([[-1, *taken[3][:4], -1, *taken[3][4:], -1, -1]])
    assert torch.equal(ranks(gaps).top(40), ranks(torch.tensor(taken[3:4])).top(40))
    assert ranks(torch.full((2, 1), -1)).top(3).shape == (2, 3)
    # items behind the ranked ones are read and not ranked
    first = SequenceList(loaded.encoder, loaded.table, tie_rank(loaders.dataset.catalogue.item_ids[:30]))
    expected = [[item for item in row if item < 30] for row in scores.argsort(dim=1, descending=True).tolist()]
    assert max(max(row) for row in taken) >= 30 and first(torch.tensor(taken)).top(30).tolist() == expected


def test_a_missing_weight_is_an_error():
    weights = {"position_embedding.weight": np.zeros((3, 2), np.float32)}
    with pytest.raises(KeyError, match=r"LayerNorm\.weight"):
        SequenceEncoder(weights, EncoderSettings(1, "gelu", 1e-12))(torch.zeros(1, 1, 2), torch.tensor([1]))


@given(st.lists(st.lists(st.integers(-1, 5), min_size=5, max_size=5), min_size=1, max_size=4), st.integers(1, 6))
def test_newest(rows, most):
    kept, lengths = newest(torch.tensor(rows), most)
    for row, items, length in zip(rows, kept.tolist(), lengths.tolist(), strict=True):
        expected = [item for item in row if item >= 0][-most:]
        assert items[:length] == expected and set(items[length:]) <= {-1}
