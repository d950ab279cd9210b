"""LoRA adapters of a backbone (arXiv 2106.09685, through peft): create, save, load.

An adapter is held beside a recommender and is never a submodule of it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from recbole_llmfashion.errors import UserError, did_you_mean
from recbole_llmfashion.llm.modeling.backbone import Backbone

# Importing peft takes a second and imports bitsandbytes, whose message quantization.py has suppressed by then.
if TYPE_CHECKING:
    from peft import PeftModel

# peft's own default for Falcon is query_key_value only
FALCON_TARGETS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
TargetModules = Literal["auto"] | tuple[str, ...]
ROWS = "trainable_tokens"  # part of the names of peft's weights for trained embedding rows


def _linear_names(model: nn.Module, head: nn.Module | None) -> list[str]:
    """Names of all linear layers except the output head."""
    return [n for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]


def resolve_targets(backbone: Backbone, names: TargetModules) -> list[str] | str:
    """The `target_modules` of peft's LoraConfig.

    Args:
        backbone: the model to adapt.
        names: names of linear layers, or auto: the four projections of Falcon, and every linear layer except the head
            on any other architecture.

    Raises:
        UserError: the model has no layer of that name; names the nearest one, or all.
    """
    model = backbone.model
    if names == "auto":
        return list(FALCON_TARGETS) if model.config.model_type == "falcon" else "all-linear"
    paths = _linear_names(model, model.get_output_embeddings())
    leaves = sorted({path.rsplit(".", 1)[-1] for path in paths})
    if not names:
        raise UserError(
            f"lora_target_modules: expected auto or names of linear layers, found an empty list; {backbone.name} has "
            f"{', '.join(leaves)}"
        )
    for name in names:
        if not any(path == name or path.endswith(f".{name}") for path in paths):
            hint = did_you_mean(name, leaves)
            raise UserError(f"lora_target_modules: {backbone.name} has no linear layer '{name}'; {hint}")
    return list(names)


def causal_lm(model: Any) -> Any:
    """The causal LM inside a peft model, including its adapter layers; other models are returned unchanged."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _refuse_second(backbone: Backbone) -> None:
    if hasattr(backbone.model, "peft_config"):
        raise ValueError("the backbone has an adapter already; load the backbone again to add another one")


def row_layers(model: Any) -> dict[str, Any]:
    """The layers with one row per token, by name: the embedding, and the output head unless their weights are tied."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    layers = [embedding] if head.weight is embedding.weight else [embedding, head]
    return {name: module for name, module in model.named_modules() if any(module is layer for layer in layers)}


def _trained_rows(backbone: Backbone) -> dict[str, list[int]] | None:
    """The token ids whose rows peft trains, by layer; given a plain list, peft would not train an untied head."""
    tokens = list(backbone.item_tokens)
    return dict.fromkeys(row_layers(backbone.model), tokens) if tokens else None


def new_adapter(
    backbone: Backbone,
    lora_r: int,
    lora_alpha: int,
    lora_dropout: float,
    lora_target_modules: TargetModules,
    seed: int,
) -> "PeftModel":
    """Adds LoRA matrices to a backbone: y = W x + lora_alpha / lora_r * B A x, with B = 0 initially.

    All weights of the backbone are frozen except the embeddings of its item tokens. Afterwards `backbone.model` is the
    returned peft model.

    Args:
        backbone: a backbone without an adapter.
        lora_r, lora_alpha, lora_dropout: of LoRA.
        lora_target_modules: see resolve_targets.
        seed: random seed for A; the state of the global generator is restored.

    Raises:
        UserError: a target module that the model lacks.
    """
    from peft import LoraConfig, get_peft_model

    _refuse_second(backbone)
    modules: Sequence[str] | str = resolve_targets(backbone, lora_target_modules)
    config = LoraConfig(
        r=lora_r,
        lora_alpha=lora_alpha,
        lora_dropout=lora_dropout,
        target_modules=modules,
        bias="none",
        task_type="CAUSAL_LM",
        trainable_token_indices=_trained_rows(backbone),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        backbone.model = get_peft_model(backbone.model, config)
    return backbone.model


def save_adapter(model: "PeftModel", folder: Path) -> None:
    """Writes adapter_config.json and adapter_model.safetensors; equal adapters give equal bytes in any place."""
    # by default peft queries the hub to compare vocabulary sizes
    model.save_pretrained(str(folder), save_embedding_layers=False)
    # a model card with the path of the backbone
    (folder / "README.md").unlink(missing_ok=True)
    saved = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    modules = saved["target_modules"]  # a list in the order of a set, or a pattern
    saved["target_modules"] = sorted(modules) if isinstance(modules, list) else modules
    saved["base_model_name_or_path"] = None
    (folder / "adapter_config.json").write_text(json.dumps(saved, indent=2, sort_keys=True), encoding="utf-8")


def load_adapter(backbone: Backbone, folder: Path, rows: bool = True) -> "PeftModel":
    """Adds a saved adapter to a backbone, frozen; afterwards `backbone.model` is the returned peft model.

    Trained embeddings of item tokens are written into the embedding layer itself, which makes the forward cheaper.

    Args:
        backbone: a backbone without an adapter.
        folder: written by save_adapter.
        rows: whether to load the adapter's embeddings of item tokens; False keeps those of the backbone, which may
            belong to other items.

    Raises:
        UserError: the folder has no adapter, or one of another backbone.
    """
    _refuse_second(backbone)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (Path(folder) / name).is_file():
            raise UserError(f"{folder}: {name} is missing; name a folder written by save_adapter")
    try:
        _load(backbone, Path(folder), rows)
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{folder}: the adapter does not fit {backbone.name}; train it again") from error
    return backbone.model


def _load(backbone: Backbone, folder: Path, rows: bool) -> None:
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    weights = load_file(str(folder / "adapter_model.safetensors"))
    trained = {name: value for name, value in weights.items() if ROWS in name}
    if rows and trained:
        _write_rows(backbone, trained)
    about = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    # what new_adapter sets, and nothing else that a config may ask of peft
    fields = {name: about[name] for name in ("r", "lora_alpha", "lora_dropout", "target_modules")}
    config = LoraConfig(**fields, bias="none", task_type="CAUSAL_LM", inference_mode=True)
    model = get_peft_model(backbone.model, config)
    report = set_peft_model_state_dict(model, {name: value for name, value in weights.items() if ROWS not in name})
    if report.unexpected_keys:
        raise ValueError(f"unexpected {report.unexpected_keys[0]}")
    backbone.model = model.eval()


@torch.no_grad()
def _write_rows(backbone: Backbone, trained: Mapping[str, torch.Tensor]) -> None:
    at = slice(backbone.item_tokens.start, backbone.item_tokens.stop)
    for path, layer in row_layers(backbone.model).items():
        rows = next((value for name, value in trained.items() if f".{path}." in name), None)
        if rows is None or len(rows) != len(backbone.item_tokens):
            count = 0 if rows is None else len(rows)
            raise ValueError(f"{path}: {count} rows for {len(backbone.item_tokens)} item tokens")
        layer.weight[at] = rows.to(layer.weight.device, layer.weight.dtype)
