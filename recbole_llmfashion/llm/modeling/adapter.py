"""LoRA adapters on a backbone: put on, written, read. An adapter is a plain object beside a recommender, never its
submodule.

Knows nothing of training. LoRA: arXiv 2106.09685, through peft.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.backbone import Backbone

# peft costs a second to import and pulls bitsandbytes in; backbone.py has done that quietly by the time it is needed.
if TYPE_CHECKING:
    from peft import PeftModel

# peft alone would take query_key_value only.
FALCON_TARGETS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
TargetModules = Literal["auto"] | tuple[str, ...]
ROWS = "trainable_tokens"  # in the names of peft's weights for rows of new tokens


def _linear_names(model: nn.Module, head: nn.Module | None) -> list[str]:
    """Paths of all linear layers but the output head."""
    return [n for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head]


def resolve_targets(backbone: Backbone, wanted: TargetModules) -> list[str] | str:
    """What peft is asked to adapt.

    auto is all four projections of Falcon, and on any other architecture every linear layer but the head.

    Raises:
        UserError: a named target that the model lacks; lists the nearest or all names.
    """
    model = backbone.model
    if wanted == "auto":
        return list(FALCON_TARGETS) if model.config.model_type == "falcon" else "all-linear"
    paths = _linear_names(model, model.get_output_embeddings())
    leaves = sorted({path.rsplit(".", 1)[-1] for path in paths})
    if not wanted:
        raise UserError(f"lora_target_modules: the list is empty; take auto, or some of: {', '.join(leaves)}")
    for name in wanted:
        if not any(path == name or path.endswith(f".{name}") for path in paths):
            near = get_close_matches(name, leaves, n=3) or leaves
            raise UserError(
                f"lora_target_modules: {backbone.name} has no linear layer '{name}'; nearest: {', '.join(near)}"
            )
    return list(wanted)


def causal_lm(model: Any) -> Any:
    """The causal LM inside a peft model, adapter layers included; the model itself where there is no adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _refuse_second(backbone: Backbone) -> None:
    if hasattr(backbone.model, "peft_config"):
        raise ValueError("the backbone has an adapter already; load the backbone again for another one")


def row_layers(model: Any) -> dict[str, Any]:
    """By path, the layers with a row a token: the embedding, and the output head where its weight is another one."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    layers = [embedding] if head.weight is embedding.weight else [embedding, head]
    return {name: layer for name, layer in model.named_modules() if any(layer is wanted for wanted in layers)}


def _trained_rows(backbone: Backbone) -> dict[str, list[int]] | None:
    """The rows that peft trains; named a list alone, it would leave those of a head of its own as they began."""
    tokens = list(backbone.item_tokens)
    return dict.fromkeys(row_layers(backbone.model), tokens) if tokens else None


def new_adapter(
    backbone: Backbone, rank: int, alpha: int, dropout: float, targets: TargetModules, seed: int
) -> "PeftModel":
    """Puts fresh LoRA matrices on a backbone: y = W x + alpha / rank * B A x, with B = 0 at first.

    The backbone's weights are frozen but for the rows of its items' tokens, where it has some; `backbone.model` is the
    peft model from then on.

    Args:
        backbone: without an adapter.
        rank, alpha, dropout: of LoRA.
        targets: see resolve_targets.
        seed: of A; the global generator is left as it was.

    Raises:
        UserError: a target that the model lacks.
    """
    from peft import LoraConfig, get_peft_model

    _refuse_second(backbone)
    modules: Sequence[str] | str = resolve_targets(backbone, targets)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
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
    """Writes adapter_config.json and adapter_model.safetensors."""
    # Left to itself, peft asks the hub whether the base model's vocabulary is the hub's.
    model.save_pretrained(str(folder), save_embedding_layers=False)


def load_adapter(backbone: Backbone, folder: Path, rows: bool = True) -> "PeftModel":
    """Puts a saved adapter on a backbone, frozen; `backbone.model` is the peft model from then on.

    Trained rows of items' tokens are written into the embedding itself, so that a forward puts nothing together.

    Args:
        rows: whether the adapter's rows of item tokens are taken; without them the backbone keeps its own, which may
            be those of other items.

    Raises:
        UserError: the folder holds no adapter, or one of another backbone.
    """
    _refuse_second(backbone)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (Path(folder) / name).is_file():
            raise UserError(f"{folder}: no {name}; name a folder that save_adapter wrote")
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
    config = LoraConfig.from_pretrained(str(folder))
    config.base_model_name_or_path = None  # where its backbone lay when it was trained; a run folder checks digests
    config.trainable_token_indices, config.inference_mode = None, True
    model = get_peft_model(backbone.model, config)
    found = set_peft_model_state_dict(model, {name: value for name, value in weights.items() if ROWS not in name})
    if found.unexpected_keys:
        raise ValueError(f"unexpected {found.unexpected_keys[0]}")
    backbone.model = model.eval()


@torch.no_grad()
def _write_rows(backbone: Backbone, trained: Mapping[str, torch.Tensor]) -> None:
    at = slice(backbone.item_tokens.start, backbone.item_tokens.stop)
    for path, layer in row_layers(backbone.model).items():
        rows = next((value for name, value in trained.items() if f".{path}." in name), None)
        if rows is None or len(rows) != len(backbone.item_tokens):
            found = "no" if rows is None else len(rows)
            raise ValueError(f"{path}: {found} rows for {len(backbone.item_tokens)} tokens of items")
        layer.weight[at] = rows.to(layer.weight.device, layer.weight.dtype)
