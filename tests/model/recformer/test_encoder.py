"""The encoder against the same computation written with plain tensors, and loading of pretrained weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, layer_norm, linear
from transformers import LongformerConfig, LongformerForMaskedLM, LongformerModel

from recbole_llmfashion.config.configurator import load_config
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON_FOLDER, new_tiny_falcon
from recbole_llmfashion.model.recformer.encoder import (
    load_encoder,
    load_longformer,
    new_encoder,
    new_head,
)
from recbole_llmfashion.model.recformer.flatten import collate
from recbole_llmfashion.model.recformer.model import Recformer
from recbole_llmfashion.model.recformer.settings import RecformerSettings
from tests.helpers.recformer import BOS, PAD, numbered_items, shape, tiny_encoder

ROWS = numbered_items(6, words=20)
HISTORIES = [np.array(h, np.int64) for h in ([0, 1, 2, 3], [4], [], [5, 5])]


def test_shapes():
    encoder = tiny_encoder()
    batch = collate(ROWS, HISTORIES, shape(), len(ROWS))
    assert encoder(batch).shape == (4, 20, 16)  # 1 + 4 * 4 tokens, to a multiple of the window
    assert (encoder.max_items, encoder.max_tokens, encoder.window) == (10, 64, 4)


def reference(encoder, ids, types, positions):
    """Reference: one layer for one sequence without padding; local windows and a global first token."""
    model = encoder.longformer
    weights = dict(model.named_parameters())
    normed = lambda x, name: layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-5)  # noqa: E731
    table = {name: weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")}
    count = torch.arange(len(ids))
    x = table["word"][ids] + table["position"][PAD + 1 + count] + table["token_type"][types]
    x = normed(x + encoder.item_embedding.weight[positions], "embeddings.LayerNorm")
    at = "encoder.layer.0.attention.self"
    heads, width = model.config.num_attention_heads, model.config.hidden_size

    def project(name):
        made = linear(x, weights[f"{at}.{name}.weight"], weights[f"{at}.{name}.bias"])
        return made.view(len(ids), heads, -1).transpose(0, 1)

    half = encoder.window // 2
    seen = ((count[:, None] - count).abs() <= half) | (count == 0)  # the window, and the first token
    scale = (width // heads) ** 0.5
    local = (project("query") @ project("key").transpose(1, 2) / scale).masked_fill(~seen, -torch.inf)
    out = local.softmax(dim=-1) @ project("value")
    wide = (project("query_global")[:, :1] @ project("key_global").transpose(1, 2) / scale).softmax(dim=-1)
    out = torch.cat([wide @ project("value_global"), out[:, 1:]], dim=1).transpose(0, 1).reshape(len(ids), width)
    dense = lambda y, name: linear(y, weights[f"{name}.weight"], weights[f"{name}.bias"])  # noqa: E731
    layer = "encoder.layer.0"
    x = normed(dense(out, f"{layer}.attention.output.dense") + x, f"{layer}.attention.output.LayerNorm")
    inner = gelu(dense(x, f"{layer}.intermediate.dense"))
    return normed(dense(inner, f"{layer}.output.dense") + x, f"{layer}.output.LayerNorm")


@pytest.mark.parametrize("history", [[0, 1, 2, 3, 4], [2], []])
def test_forward(history):
    encoder = tiny_encoder()
    batch = collate(ROWS, [np.array(history, np.int64)], shape(), len(ROWS))
    length = int(batch.mask.sum())
    expected = reference(encoder, batch.ids[0, :length], batch.types[0, :length], batch.item_positions[0, :length])
    torch.testing.assert_close(encoder(batch)[0, :length], expected, atol=1e-5, rtol=0)


def test_forward_depends_on_all_inputs():
    encoder = tiny_encoder()
    batch = collate(ROWS, [np.array([0, 1])], shape(), len(ROWS))
    plain = encoder(batch)[:, 0]
    for name in ("ids", "types", "item_positions"):
        changed = {key: tensor.clone() for key, tensor in vars(batch).items()}
        changed[name][0, 5] = 3 - changed[name][0, 5].clamp(max=2)
        assert not torch.allclose(encoder(type(batch)(**changed))[:, 0], plain), name


def test_save_and_load(tmp_path):
    encoder = tiny_encoder(layers=2, seed=3)
    encoder.save(tmp_path)
    batch = collate(ROWS, HISTORIES, shape(), len(ROWS))
    assert torch.equal(load_encoder(tmp_path).eval()(batch), encoder(batch))


def test_seed_of_the_weights():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    same = [tiny_encoder(seed=5).state_dict(), tiny_encoder(seed=5).state_dict()]
    assert all(torch.equal(same[0][name], same[1][name]) for name in same[0])
    heads = [new_head(tiny_encoder(), 7).state_dict() for _ in range(2)]
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_number_of_parameters():
    ours, own = load_config(Recformer, "x"), RecformerSettings()
    encoder = new_encoder(
        own.vocab_size + 2, own.width, own.layers, own.heads, own.attention_window, ours["recformer_max_items"],
        ours["recformer_max_tokens"], 0, 1, 0,
    )  # fmt: skip
    theirs = sum(weight.numel() for weight in load_file(str(TINY_FALCON_FOLDER / "model.safetensors")).values())
    assert 0.75 < encoder.parameters_count / theirs < 1.25


def stock(folder, layers=2, head=True):
    """A Longformer as on a hub: one token type, another window, tied head."""
    config = LongformerConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=70, type_vocab_size=1, attention_window=[8] * layers, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, sep_token_id=2,
    )  # fmt: skip
    torch.manual_seed(0)
    model = LongformerForMaskedLM(config) if head else LongformerModel(config, add_pooling_layer=False)
    model.save_pretrained(str(folder))
    return model


def test_load_longformer(tmp_path):
    model = stock(tmp_path)
    encoder, head = load_longformer(str(tmp_path), 4, 10, "broadcast", 0)
    loaded = encoder.longformer.state_dict()
    for name, tensor in model.longformer.state_dict().items():
        expected = tensor.repeat(4, 1) if "token_type" in name else tensor
        assert torch.equal(loaded[name], expected), name
    assert encoder.window == 4 and encoder.item_embedding.weight.shape == (11, 16)
    assert {layer.attention.self.one_sided_attn_window_size for layer in encoder.longformer.encoder.layer} == {2}
    assert torch.equal(head.decoder.weight, model.lm_head.decoder.weight)
    assert head.decoder.weight is not encoder.longformer.get_input_embeddings().weight  # untied
    batch = collate(ROWS, HISTORIES, shape(), len(ROWS))
    (tmp_path / "again").mkdir()
    encoder.save(tmp_path / "again")
    assert torch.equal(load_encoder(tmp_path / "again").eval()(batch), encoder.eval()(batch))


def test_normal_type_init(tmp_path):
    stock(tmp_path, head=False)
    types = load_longformer(str(tmp_path), 4, 10, "normal", 0)[0].longformer.embeddings.token_type_embeddings.weight
    assert types.shape == (4, 16) and len(types.unique()) == 64


@pytest.mark.parametrize("window", [0, 3, -2])
def test_invalid_window(window):
    with pytest.raises(UserError, match=r"recformer\.attention_window"):
        tiny_encoder(window=window)


def test_not_a_longformer(tmp_path):
    with pytest.raises(UserError, match="recformer_name_or_path"):
        load_longformer(str(tmp_path / "gone"), 4, 10, "broadcast", 0)
    new_tiny_falcon(300, 16, 1, 2, 0).save_pretrained(str(tmp_path))
    with pytest.raises(UserError, match="recformer_name_or_path"):
        load_longformer(str(tmp_path), 4, 10, "broadcast", 0)
    with pytest.raises(UserError, match="multiple of heads"):
        new_encoder(50, 15, 1, 2, 4, 10, 64, PAD, BOS, 0)
