"""torch.compile for the decoder layers of a causal LM: the key `torch_compile`.

Training compiles each decoder layer, and all layers share the graphs. A graph holds for one shape of its inputs, so
batches are padded to few shapes (`padded_shape`). LoRA is written as plain operations here, which the compiler fuses
with their neighbours; the hand-written kernels of half_lora.py, fused_lora.py and falcon.py are for code that is
not compiled. Whatever cannot be compiled is an error that names the key.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Batch
from recbole_llmfashion.llm.buckets import in_bucket
from recbole_llmfashion.llm.layers.half_lora import adapter_of
from recbole_llmfashion.llm.modeling.abilities import most_tokens

BACKEND = "inductor"
MODE: str | None = None  # of torch.compile; None is its default, as CUDA graphs (reduce-overhead) were not measured
GRAPHS = 256  # torch's own limit of 8 is below the shapes of long prompts; more than this many would be a fault


def _lora_forward(layer: Any, x: Tensor) -> Tensor:
    """The output of a LoRA layer, [..., in] to [..., out]: W x + scale * B A dropout(x), in the type of x."""
    name = layer.active_adapters[0]
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    low = F.linear(layer.lora_dropout[name](x), a.to(x.dtype))
    added: Tensor = layer.base_layer(x) + F.linear(low, b.to(x.dtype)) * layer.scaling[name]
    return added


@contextmanager
def traceable_lora(model: Any) -> Iterator[int]:
    """Replaces the forwards of plain LoRA layers by one that can be compiled; yields the number of layers."""
    layers = [layer for layer in model.modules() if adapter_of(layer) is not None]
    for layer in layers:
        layer.forward = MethodType(_lora_forward, layer)
    try:
        yield len(layers)
    finally:
        for layer in layers:
            del layer.forward


@contextmanager
def compiling() -> Iterator[None]:
    """Where compiled code is called: what cannot be compiled is a UserError that names the key.

    Raises:
        UserError: the compiler failed, or there are more shapes than it keeps graphs for.
    """
    from torch._dynamo import config
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    limits = {"recompile_limit": GRAPHS, "accumulated_recompile_limit": 4 * GRAPHS, "fail_on_recompile_limit_hit": True}
    try:
        with config.patch(limits):
            yield
    except (TorchDynamoException, FailOnRecompileLimitHit) as error:
        inner = getattr(error, "inner_exception", None)
        if isinstance(inner, torch.cuda.OutOfMemoryError):
            raise inner from None
        reason = " ".join(str(inner or error).split())[:200]
        raise UserError(f"torch_compile: the model cannot be compiled ({reason}); set torch_compile: False") from error


class CompiledLayers:
    """The decoder layers of a model, compiled for training.

    Args:
        model: a causal LM or a peft model around one.

    Attributes:
        shapes: rows and widths of the batches so far; at most two graphs each, four with gradient checkpointing.

    Raises:
        UserError: the model has no decoder layers that transformers marks as such.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.shapes: set[tuple[int, int]] = set()
        self._layers = [layer for layer in model.modules() if isinstance(layer, GradientCheckpointingLayer)]
        if not self._layers:
            raise UserError(
                f"torch_compile: {model.config.model_type} has no decoder layers that can be compiled one by one; set "
                "torch_compile: False"
            )
        how: dict[str, Any] = {"backend": BACKEND, "dynamic": False, "fullgraph": True}
        how |= {} if MODE is None else {"mode": MODE}
        self._calls = [torch.compile(layer._call_impl, **how) for layer in self._layers]
        self._longest = most_tokens(model.config)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Within the context a call of a layer runs the compiled code, as after `Module.compile`.

        Outside of it, such as in a validation, the layers are not compiled.

        Raises:
            UserError: see `compiling`.
        """
        with traceable_lora(self.model), compiling():
            for layer, call in zip(self._layers, self._calls, strict=True):
                layer._compiled_call_impl = call
            try:
                yield
            finally:
                for layer in self._layers:
                    layer._compiled_call_impl = None

    def padded(self, batch: Batch, most_rows: int, pad_id: int) -> Batch:
        """The batch in one of the few shapes; rows without a target are added."""
        padded = in_bucket(batch, most_rows, pad_id, self._longest)
        rows, width = padded.input_ids.shape
        if (rows, width) not in self.shapes:
            self.shapes.add((rows, width))
            getLogger(__name__).info(
                f"torch_compile: compiling for {rows} prompts of up to {width} tokens, shape {len(self.shapes)}"
            )
        return padded
