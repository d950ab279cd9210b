"""A tiny Llama as a GGUF file. Import it in a test, after `pytest.importorskip("gguf")`."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from recbole_llmfashion.llm.modeling.tiny_falcon import EOS_ID, PAD_ID, train_tokenizer

TEXTS = ["clicked product ID: B123456, title: blue ankle boots\n", "search red sandals for summer\n"] * 3
LAYERS, PROJECTIONS = 2, 7
# GGUF's name and the layer's, without `model.layers.<i>.`
_LAYER = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip


def tiny_llama(vocabulary: int, positions: int) -> LlamaForCausalLM:
    """Random weights that bf16 holds exactly: width 32, two layers, two heads with one pair of keys and values."""
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=positions, tie_word_embeddings=True, eos_token_id=EOS_ID,
        pad_token_id=PAD_ID, bos_token_id=None, initializer_range=0.1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config).eval()
    for weight in model.parameters():  # not its buffers, which no file holds
        weight.data = weight.data.to(torch.bfloat16).float()
    return model


def write_gguf(
    path: Path,
    architecture: str = "llama",
    tokenizer_model: str = "gpt2",
    without: Collection[str] = (),
    quantized: str = "F32",
    tokenizer: Any = None,
    positions: int = 512,
) -> LlamaForCausalLM:
    """Writes the model as llama.cpp's converter does, and returns it.

    Args:
        architecture: general.architecture, also the prefix of its keys.
        tokenizer_model: tokenizer.ggml.model; empty for a file without a tokenizer.
        without: GGUF names of tensors to leave out.
        quantized: type of the matrices.
        tokenizer: byte-level; None for one of 315 tokens.
        positions: of the model.
    """
    import gguf

    tokenizer = tokenizer or train_tokenizer(TEXTS, 320)
    model = tiny_llama(len(tokenizer), positions)
    config, writer = model.config, gguf.GGUFWriter(str(path), architecture)
    writer.add_name("tiny")
    writer.add_license("mit")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    if tokenizer_model:
        _add_tokenizer(writer, tokenizer, tokenizer_model)
    kind = gguf.GGMLQuantizationType[quantized]
    for name, weight in _tensors(model):
        if name in without:
            continue
        if weight.ndim == 1 or quantized == "F32":
            writer.add_tensor(name, weight)
        else:
            writer.add_tensor(name, gguf.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _add_tokenizer(writer: Any, tokenizer: Any, kind: str) -> None:
    import json

    bpe = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    words = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    writer.add_tokenizer_model(kind)
    writer.add_token_list(words)
    writer.add_token_types([3 if word in ("<pad>", "<eos>") else 1 for word in words])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in bpe["merges"]])
    writer.add_eos_token_id(EOS_ID)
    writer.add_pad_token_id(PAD_ID)


def _tensors(model: LlamaForCausalLM) -> list[tuple[str, np.ndarray]]:
    config, state = model.config, {name: value.numpy() for name, value in model.state_dict().items()}
    found = [
        ("token_embd.weight", state["model.embed_tokens.weight"]),
        ("output_norm.weight", state["model.norm.weight"]),
    ]
    for i in range(config.num_hidden_layers):
        for name, path in _LAYER.items():
            weight = state[f"model.layers.{i}.{path}.weight"]
            if name in ("attn_q", "attn_k"):  # llama.cpp pairs neighbouring rows, transformers the halves of a head
                heads = config.num_attention_heads if name == "attn_q" else config.num_key_value_heads
                halves = weight.reshape(heads, 2, config.head_dim // 2, -1)
                weight = np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)
            found.append((f"blk.{i}.{name}.weight", weight))
    return found
