"""Tiny configs of many architectures, without weights: what each can do is known before anything trains."""

import re
from typing import Any

import pytest
from transformers import AutoConfig

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.abilities import Needs, check_backbone
from recbole_llmfashion.llm.modeling.backbone import dropouts

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 400}
LLAMA = SMALL | {"intermediate_size": 64, "num_key_value_heads": 2, "max_position_embeddings": 512}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 400}
BEAMS = "num_beams: .* set num_beams: 0 or item_tokens: atomic"

# model type, its config, what the run needs of it, the words of the line or none
TABLE: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    # rotary or learned positions, full attention: everything works
    ("falcon", SMALL | {"alibi": False}, {}, ""),
    ("llama", LLAMA, {}, ""),
    ("qwen2", LLAMA, {}, ""),
    ("gpt_neox", SMALL | {"intermediate_size": 64}, {}, ""),
    ("opt", SMALL | {"ffn_dim": 64, "word_embed_proj_dim": 32, "max_position_embeddings": 512}, {}, ""),
    ("gpt2", GPT2 | {"n_positions": 256}, {}, ""),
    ("gpt2", GPT2 | {"n_positions": 256}, {"quantization": "none"}, ""),
    # ALiBi: beams over IDs of several tokens are out, everything else works
    ("falcon", SMALL | {"alibi": True}, {}, BEAMS),
    ("falcon", SMALL | {"alibi": True}, {"tree_beams": False}, ""),
    ("falcon", SMALL | {"alibi": True, "max_position_embeddings": 64}, {"tree_beams": False}, ""),
    ("bloom", GPT2 | {"hidden_size": 32}, {}, BEAMS),
    ("bloom", GPT2 | {"hidden_size": 32}, {"tree_beams": False}, ""),
    ("mpt", {"d_model": 32, "n_heads": 2, "n_layers": 2, "vocab_size": 400}, {}, BEAMS),
    ("mpt", {"d_model": 32, "n_heads": 2, "n_layers": 2, "vocab_size": 400}, {"tree_beams": False}, ""),
    # dropout of its own
    ("falcon", SMALL, {"dropout": 0.2}, ""),
    ("llama", LLAMA, {"dropout": 0.2}, ""),
    ("gpt2", GPT2 | {"n_positions": 256}, {"dropout": 0.2}, ""),
    # a sliding window
    ("mistral", LLAMA | {"sliding_window": 16}, {}, BEAMS),
    ("mistral", LLAMA | {"sliding_window": None}, {}, ""),
    ("mistral", LLAMA | {"sliding_window": 16}, {"tree_beams": False}, ""),
    # too few positions
    ("gpt2", GPT2 | {"n_positions": 64}, {}, "max_length: 256 is more than the 64 positions of .*set max_length: 64"),
    ("gpt2", GPT2 | {"n_positions": 64}, {"max_length": 64}, ""),
    ("llama", LLAMA | {"max_position_embeddings": 255}, {}, "max_length: 256 is more than the 255 positions"),
    ("falcon", SMALL | {"max_position_embeddings": 128}, {}, "max_length: 256 is more than the 128 positions"),
    # no causal language model, or none with a cache of keys and values
    ("t5", {"d_model": 32, "d_ff": 64, "num_layers": 1, "num_heads": 2, "vocab_size": 400}, {}, "is no decoder"),
    ("vit", {"hidden_size": 32}, {}, "is no decoder"),
    ("mamba", {"hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 400}, {}, "has no cache of keys and values"),
    # quantized by somebody else
    ("llama", LLAMA | {"quantization_config": {"quant_method": "gptq", "bits": 4}}, {}, r"quantized already \(gptq\)"),
    ("llama", LLAMA | {"quantization_config": {"quant_method": "awq", "bits": 4}}, {}, r"quantized already \(awq\)"),
    # another model's tokenizer, layers that are not there
    ("llama", LLAMA | {"vocab_size": 100}, {}, "the tokenizer of .* has ids up to .*, the model has 100 rows"),
    ("llama", LLAMA, {"lora_target_modules": ("query_key_value",)}, "lora_target_modules: .* no linear layer"),
    ("llama", LLAMA, {"lora_target_modules": ("q_proj", "v_proj")}, ""),
    ("gpt2", GPT2 | {"n_positions": 256}, {"lora_target_modules": ("c_atn",)}, "did you mean 'c_attn'"),
]


@pytest.mark.parametrize(("kind", "config", "needs", "words"), TABLE, ids=lambda cell: str(cell)[:30])
def test_what_a_backbone_can_do_is_known_from_its_config(tmp_path, tokenizer, kind, config, needs, words):
    AutoConfig.for_model(kind, **config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()  # weights are not read
    whole = Needs(
        **{"max_length": 256, "quantization": "nf4", "tree_beams": True, "lora_target_modules": "auto"} | needs
    )
    if not words:
        check_backbone(str(tmp_path), whole)
        return
    with pytest.raises(UserError) as raised:
        check_backbone(str(tmp_path), whole)
    line = str(raised.value)
    assert re.search(words, line) and "\n" not in line and str(tmp_path) in line


def test_cuda_graphs_need_explicit_positions(tmp_path, tokenizer):
    AutoConfig.for_model("llama", **LLAMA).save_pretrained(tmp_path / "llama")
    AutoConfig.for_model("mistral", **LLAMA, sliding_window=9).save_pretrained(tmp_path / "mistral")
    for name in ("llama", "mistral"):
        tokenizer.save_pretrained(tmp_path / name)
        (tmp_path / name / "model.safetensors").touch()
    needs = Needs(256, "none", False, "auto", cuda_graphs=True)
    check_backbone(str(tmp_path / "llama"), needs)
    with pytest.raises(UserError, match=r"cuda_graphs: .*mistral.* they need; set cuda_graphs: False or name another"):
        check_backbone(str(tmp_path / "mistral"), needs)


def test_an_architecture_without_dropout():
    with pytest.raises(UserError, match=r"llm_dropout: some/model \(mamba\) has no dropout of its own"):
        dropouts(AutoConfig.for_model("mamba"), "some/model", 0.2)
    assert dropouts(AutoConfig.for_model("falcon"), "", 0.2) == {"hidden_dropout": 0.2, "attention_dropout": 0.2}


def test_the_table_is_large():
    assert len(TABLE) >= 30 and len({kind for kind, *_ in TABLE}) >= 12


def test_a_layer_that_is_not_quantized_is_known_before_it_is_loaded(tmp_path, tokenizer, monkeypatch):
    from torch import nn
    from transformers.models.llama import modeling_llama

    class Own(nn.Linear):
        pass

    AutoConfig.for_model("llama", **LLAMA).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").touch()
    original = modeling_llama.LlamaMLP.__init__

    def with_own(self, config):
        original(self, config)
        self.gate_proj = Own(config.hidden_size, config.intermediate_size, bias=False)

    monkeypatch.setattr(modeling_llama.LlamaMLP, "__init__", with_own)
    needs = Needs(256, "nf4", True, "auto")
    with pytest.raises(UserError, match=r"12 of 14 linear layers were quantized to NF4 \(not quantized: Own\)"):
        check_backbone(str(tmp_path), needs)
    check_backbone(str(tmp_path), Needs(256, "none", True, "auto"))


def test_weights_must_be_there(tmp_path, tokenizer):
    AutoConfig.for_model("llama", **LLAMA).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"has no weights \(\*\.safetensors\)"):
        check_backbone(str(tmp_path), Needs(256, "nf4", True, "auto"))
