from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.modeling.adapter import FALCON_TARGETS, load_adapter, save_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from tests.helpers.training import add_adapter


def adapted(model: Any) -> set[str]:
    return {name.split(".lora_A")[0].rsplit(".", 1)[-1] for name, _ in model.named_parameters() if "lora_A" in name}


def llama() -> Backbone:
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    return Backbone(LlamaForCausalLM(config), None, "llama", 0)


def test_auto_targets_of_falcon(nf4: Backbone) -> None:
    model = add_adapter(nf4, FinetuneSettings())
    assert nf4.model is model
    assert adapted(model) == set(FALCON_TARGETS)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(trained) == 4 * 4 * 2
    # r (in + out) of: 32 -> 96, 32 -> 32, 32 -> 128, 128 -> 32, in four layers
    assert sum(p.numel() for p in trained) == 4 * 16 * (128 + 64 + 160 + 160)


def test_auto_targets_of_other_models() -> None:
    model = add_adapter(llama(), FinetuneSettings())
    assert adapted(model) == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_named_targets(plain: Backbone) -> None:
    assert adapted(add_adapter(plain, FinetuneSettings(lora_target_modules=("dense",)))) == {"dense"}


@pytest.mark.parametrize(
    ("target", "nearest"), [("query_key_values", "query_key_value"), ("zzz", "dense_4h_to_h"), ("ense", "dense")]
)
def test_unknown_target(plain: Backbone, target: str, nearest: str) -> None:
    with pytest.raises(UserError, match=f"no linear layer '{target}'; .*{nearest}"):
        add_adapter(plain, FinetuneSettings(lora_target_modules=(target,)))


def test_output_head_as_target() -> None:
    with pytest.raises(UserError, match="lm_head"):
        add_adapter(llama(), FinetuneSettings(lora_target_modules=("lm_head",)))


def test_empty_list_of_targets(plain: Backbone) -> None:
    with pytest.raises(UserError, match="found an empty list"):
        add_adapter(plain, FinetuneSettings(lora_target_modules=()))


def test_second_adapter(plain: Backbone) -> None:
    add_adapter(plain, FinetuneSettings())
    with pytest.raises(ValueError, match="has an adapter already"):
        add_adapter(plain, FinetuneSettings())


def test_save_and_load(nf4: Backbone, folder: Path, tmp_path: Path) -> None:
    model = add_adapter(nf4, FinetuneSettings())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)
    save_adapter(model, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    other = load_adapter(load_backbone(str(folder), device="cpu"), tmp_path)
    ids = torch.arange(10)[None]
    with torch.no_grad():
        torch.testing.assert_close(other(ids).logits, model.eval()(ids).logits)
        untouched = load_backbone(str(folder), device="cpu").model(ids).logits
    assert not torch.allclose(untouched, other(ids).logits, atol=1e-3)
    assert not [p for p in other.parameters() if p.requires_grad] and not other.training


def test_folder_without_a_fitting_adapter(plain: Backbone, tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match=r"adapter_config\.json is missing"):
        load_adapter(plain, tmp_path)
    save_adapter(add_adapter(llama(), FinetuneSettings()), tmp_path)
    with pytest.raises(UserError, match="does not fit"):
        load_adapter(plain, tmp_path)
