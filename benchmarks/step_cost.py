"""Kernels, bytes and FLOP of a training step and of a decoding step of Falcon-7B's shape. No GPU is needed.

    python benchmarks/step_cost.py [--quantization nf4] [--gradient_checkpointing auto] [--tokens 1024] [--batch_size 4]
    python benchmarks/step_cost.py --tiny

The code of the package runs on PyTorch's meta device, which has shapes and no data; a dispatch mode sees every call
of PyTorch's kernels and of bitsandbytes'. Shape, LoRA and weights are those of `benchmarks/falcon7b.py`, in bf16.

- A view costs nothing. A kernel moves the bytes of its inputs and outputs once; a look-up reads what it returns.
- Attention is counted as on a GPU: FlashAttention without a mask, the memory-efficient kernel with one, and the plain
  products with softmax where the numbers of heads differ and `enable_gqa` is not set.
- An NF4 product of more than four rows is four kernels, as in bitsandbytes 0.50: its scales are de-quantized and
  shifted, then the weight, then the product follows.
- A call for a list of tensors is as many kernels as the lists need (at most 30 to 110 tensors, 320 blocks per kernel).
- Copies to the host are counted apart, under `host`.

Compiled code is not counted. `--gradient_checkpointing auto` is a GPU whose memory suffices: no layer is recomputed,
and what the forward keeps for the backward is printed. The last line is `kernels <n> terabytes <x>`, of the training
step.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from math import ceil, prod
from pathlib import Path
from sys import path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from transformers import FalconForCausalLM

from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.step.kept_memory import KeptMemory
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner
from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.item_trie import ItemTrie
from recbole_llmfashion.llm.layers.half_lora import half_lora
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone
from recbole_llmfashion.llm.modeling.quantization import plain_falcon_linear

path.insert(0, str(Path(__file__).parent))
falcon7b = import_module("falcon7b")

META, DTYPE, RANK = torch.device("meta"), torch.bfloat16, 16
FREE = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "_unsafe_view"}
GATHERS = {"embedding", "index", "index_select", "gather", "slice_scatter"}
WRITES_ONLY = {"copy_", "fill_", "zero_", "bernoulli_", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones"}
TENSORS_A_KERNEL, BLOCKS_A_KERNEL, BLOCK = (110, 64, 48, 36, 30), 320, 65536  # of ATen's MultiTensorApply.cuh
KINDS = {
    "attention": ("_scaled_dot_product", "_softmax", "_softmax_backward_data", "_safe_softmax", "bmm", "baddbmm"),
    "norm": ("native_layer_norm",),
    "dropout": ("native_dropout", "bernoulli"),
    "loss": ("_log_softmax", "nll_loss"),
    "optimizer": ("_foreach", "_fused"),
    "NF4": ("gemm_4bit", "dequantize"),
    "copies": ("_to_copy", "copy_", "clone", "cat", "index", "slice_backward", "fill_", "zero", "new_zeros", "stack"),
}


def moved(tensor: Tensor) -> int:
    """Bytes of a tensor; what a stride of zero repeats is counted once."""
    sides = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    return prod(sides) * tensor.element_size() if tensor.numel() else 0


@dataclass
class Cost:
    """What a step cost: kernels and bytes by kind, FLOP of products, copies to the host, and bytes kept."""

    kernels: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    moved: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    flop: int = 0
    host: int = 0
    kept: int = 0

    def add(self, kind: str, kernels: int, size: int) -> None:
        """Adds kernels of a kind."""
        self.kernels[kind] += kernels
        self.moved[kind] += size

    @property
    def total(self) -> tuple[int, float]:
        """Kernels, and terabytes."""
        return sum(self.kernels.values()), sum(self.moved.values()) / 1e12


def kind_of(name: str, tensors: list[Tensor]) -> str:
    """The row of the table that a kernel is in."""
    if name in ("mm", "addmm", "addmm_"):
        low = RANK in tensors[-1].shape or (torch.is_grad_enabled() and tensors[-2].shape[0] == RANK)
        return "products of LoRA" if low else "products"
    return next((kind for kind, starts in KINDS.items() if name.startswith(starts)), "elementwise")


def list_kernels(lists: list[list[Tensor]]) -> int:
    """Kernels of a call for lists of tensors."""
    most = TENSORS_A_KERNEL[min(len(lists), len(TENSORS_A_KERNEL)) - 1]
    blocks = sum(ceil(tensor.numel() / BLOCK) for tensor in lists[0])
    return max(ceil(len(lists[0]) / most), ceil(blocks / BLOCKS_A_KERNEL))


class CostMode(TorchDispatchMode):
    """Counts each kernel that runs within it on the meta device.

    Args:
        found: number of rows that `nonzero` returns, which has no data to look at.
    """

    def __init__(self, found: int = 1) -> None:
        super().__init__()
        self.cost, self.found = Cost(), found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one operation and adds its cost."""
        kwargs, name = kwargs or {}, func._schema.name.split("::")[1]
        if name in ("_local_scalar_dense", "equal"):
            self.cost.host += args[0].device == META
            return (func(*args, **kwargs) if args[0].device != META else 1.0) if name[0] == "_" else True
        if name == "nonzero":
            self.cost.host += 1
            return torch.empty((self.found, args[0].ndim), dtype=torch.long, device=META)
        out = None if name.startswith("_fused_adamw") else func(*args, **kwargs)
        self._count(func, name, args, kwargs, out)
        return out

    def _count(self, func: Any, name: str, args: Any, kwargs: Any, out: Any) -> None:
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        outputs = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        if not any(x.device == META for x in (*inputs, *outputs)) or not _runs(func, name):
            return
        kind, written = kind_of(name, inputs), sum(map(moved, outputs))
        if name == "gemm_4bit":
            self._nf4_product(args[0], args[1], args[2], written)
        elif name.startswith(("_foreach", "_fused")):
            lists: list[Any] = [x for x in args if isinstance(x, list | tuple) and x and isinstance(x[0], Tensor)]
            changed = written or sum(map(moved, tree_leaves(lists[0] if name.startswith("_foreach") else lists)))
            self.cost.add(kind, list_kernels(lists), sum(map(moved, inputs)) + changed)
        elif name in GATHERS:
            self.cost.add(kind, 1, 2 * written)
        elif name.startswith("index_") and name != "index_select":
            self.cost.add(kind, 1, 2 * moved(inputs[-1]))
        else:
            read = inputs[1:] if name in WRITES_ONLY else inputs
            self.cost.add(kind, 1, sum(map(moved, read)) + written)
            self.cost.flop += _flop(func, name, args, kwargs, out)

    def _nf4_product(self, x: Tensor, packed: Tensor, shape: Any, written: int) -> None:
        rows, weights = x.numel() // x.shape[-1], prod(shape)
        self.cost.flop += 2 * rows * weights
        if rows <= 4:
            self.cost.add("products", 1, moved(x) + moved(packed) + written)
            return
        self.cost.add("NF4", 3, weights // 64 * (1 + 4 + 8 + 4) + moved(packed) + weights * 2)
        self.cost.add("products", 1, moved(x) + weights * 2 + written)


def _runs(func: Any, name: str) -> bool:
    """Whether an operation launches a kernel: it is no view, and it fills what it allocates."""
    aliases = [value.alias_info for value in func._schema.returns]
    return name not in FREE and not any(alias is not None and not alias.is_write for alias in aliases)


def _flop(func: Any, name: str, args: Any, kwargs: Any, out: Any) -> int:
    if name == "addmm_":
        return 2 * args[1].shape[0] * args[1].shape[1] * args[2].shape[1]
    count = flop_registry.get(func._overloadpacket)
    return int(count(*args, **kwargs, out_val=out)) if count else 0


def gpu_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """`scaled_dot_product_attention` with the kernel that a GPU would take."""
    same = query.shape[1] == key.shape[1]
    if attn_mask is None and (same or enable_gqa):
        flash = torch.ops.aten._scaled_dot_product_flash_attention
        if query.requires_grad and not same:  # the kernel repeats the heads; on the meta device it does not know how
            key, value = (x.expand(-1, query.shape[1], -1, -1) for x in (key, value))
        return flash(query, key, value, dropout_p, is_causal, scale=scale)[0]
    if same and attn_mask is not None:
        mask = attn_mask.expand(*query.shape[:3], key.shape[2])
        efficient = torch.ops.aten._scaled_dot_product_efficient_attention
        return efficient(query, key, value, mask, torch.is_grad_enabled(), dropout_p, is_causal, scale=scale)[0]
    return PLAIN_ATTENTION(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)


PLAIN_ATTENTION = F.scaled_dot_product_attention


@contextmanager
def as_on_a_gpu() -> Iterator[None]:
    """The meta device takes the ways of a GPU: attention, and optimizers over lists of tensors."""
    from torch.utils import _foreach_utils as lists

    ways = (lists._get_foreach_kernels_supported_devices, lists._get_fused_kernels_supported_devices)
    names = [way.__name__ for way in ways]
    places = [module for module in (lists, import_module("torch.optim.optimizer")) if hasattr(module, names[0])]
    optimizer: Any = import_module("recbole_llmfashion.llm.finetuning.step.optimizer")
    fusible, optimizer.fusible = optimizer.fusible, lambda parameters: True
    F.scaled_dot_product_attention = gpu_attention
    for place in places:
        for name, way in zip(names, ways, strict=True):
            setattr(place, name, lambda way=way: [*way(), "meta"])
    try:
        yield
    finally:
        F.scaled_dot_product_attention, optimizer.fusible = PLAIN_ATTENTION, fusible
        for place in places:
            for name, way in zip(names, ways, strict=True):
                setattr(place, name, way)


def quantized(layer: nn.Linear) -> nn.Module:
    """A layer of bitsandbytes with NF4 weights of the same shape, double quantization included."""
    from bitsandbytes.functional import QuantState
    from bitsandbytes.nn import Linear4bit, Params4bit

    size = layer.weight.numel()
    blocks = ceil(size / 64)
    empty = lambda count, dtype: torch.empty(count, dtype=dtype, device=META)  # noqa: E731
    second = QuantState(
        absmax=empty(ceil(blocks / 256), torch.float32), code=empty(256, torch.float32), blocksize=256,
        dtype=torch.float32,
    )  # fmt: skip
    state = QuantState(
        absmax=empty(blocks, torch.uint8), shape=layer.weight.shape, code=empty(16, torch.float32), blocksize=64,
        quant_type="nf4", dtype=DTYPE, offset=empty((), torch.float32), state2=second,
    )  # fmt: skip
    made = Linear4bit(layer.in_features, layer.out_features, bias=False, compute_dtype=DTYPE, device=META)
    packed = torch.empty((ceil(size / 2), 1), dtype=torch.uint8, device=META)
    made.weight = Params4bit(packed, requires_grad=False, quant_state=state, quant_type="nf4", bnb_quantized=True)
    return made


def meta_backbone(size: Any, quantization: str) -> Backbone:
    """Falcon at a size without data; `nf4` puts layers of bitsandbytes in the place of the projections."""
    with META, plain_falcon_linear():
        lm = FalconForCausalLM(falcon7b.configuration(size)).to(DTYPE)
    lm.config._attn_implementation = "sdpa"
    for name, module in list(lm.named_modules()) if quantization == "nf4" else ():
        if isinstance(module, nn.Linear) and name != "lm_head":
            lm.set_submodule(name, quantized(module))
    return Backbone(lm, None, "falcon-7b", 0)


def training_cost(size: Any, quantization: str, checkpointing: bool) -> Cost:
    """The second step; the first allocates the optimizer's state."""
    backbone = meta_backbone(size, quantization)
    model: Any = new_adapter(backbone, RANK, RANK, 0.05, "auto", seed=0)
    model.config.pad_token_id = falcon7b.PAD_ID
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    answer = min(falcon7b.RESPONSE, size.tokens // 2)
    ids = np.full(size.tokens, 2, np.int32)
    examples = [Example(ids[:-answer], ids[-answer:])] * size.batch_size
    plain = torch.autograd.set_detect_anomaly(False)  # it would look for NaN where there is no data
    with plain, as_on_a_gpu(), CostMode(answer * size.batch_size) as mode:
        training = TrainStep(model.train(), examples, 2e-5, 0.0, 1.0, 0, 2, size.batch_size, item_embedding_lr=0.0)
        training.step([np.arange(size.batch_size)])
        mode.cost = Cost()
        with KeptMemory(model) as kept:
            training.step([np.arange(size.batch_size)])
    mode.cost.kept = kept.bytes
    return mode.cost


def decoding_cost(size: Any, quantization: str) -> Cost:
    """One token for each of the prompts: the forward with its cache, and the choice among what the trie allows."""
    backbone = meta_backbone(size, quantization)
    model: Any = new_adapter(backbone, RANK, RANK, 0.0, "auto", seed=0).eval()
    ids = [[falcon7b.FIRST_ID + int(digit) for digit in f"{item:03d}"] for item in range(1000)]
    trie = ItemTrie.build(ids, size.vocabulary)
    width, trie = trie.widths(ItemTrie.ROOT)[0], trie.to(META)
    prompts = [np.full(max(8, size.tokens - size.new_tokens), 2, np.int32)] * size.users
    with as_on_a_gpu(), torch.no_grad(), CostMode() as mode, half_lora(model):
        runner = CausalLMRunner(model, falcon7b.PAD_ID)
        batch = PromptBatch(runner, runner.share(prompts[0][:0]), prompts, size.new_tokens)
        mode.cost = Cost()
        edges, _ = trie.best_edges(torch.zeros(size.users, dtype=torch.long, device=META), batch.logits, width)
        batch.feed(trie.tokens[edges].long()[:, None])
    return mode.cost


def table(costs: dict[str, Cost]) -> str:
    """Markdown, a line a kind of kernel."""
    head = ["", *(f"{name}, {what}" for name in costs for what in ("kernels", "GB"))]
    kinds = sorted({kind for cost in costs.values() for kind in cost.moved})
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for kind in kinds:
        cells = [(cost.kernels.get(kind, 0), cost.moved.get(kind, 0) / 1e9) for cost in costs.values()]
        lines.append([kind, *(cell for n, size in cells for cell in (f"{n:,}", f"{size:,.1f}"))])
    totals = [cost.total for cost in costs.values()]
    lines.append(["all", *(cell for n, terabytes in totals for cell in (f"{n:,}", f"{terabytes * 1e3:,.1f}"))])
    lines.append(["TFLOP", *(cell for cost in costs.values() for cell in ("", f"{cost.flop / 1e12:,.2f}"))])
    lines.append(["copies to the host", *(cell for cost in costs.values() for cell in (str(cost.host), ""))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Prints the table and, last, `kernels <n> terabytes <x>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--quantization", choices=("nf4", "none"), default="nf4")
    parser.add_argument("--gradient_checkpointing", choices=("auto", "True", "False"), default="auto")
    parser.add_argument("--tokens", type=int, default=falcon7b.Size.tokens)
    parser.add_argument("--batch_size", type=int, default=falcon7b.Size.batch_size)
    options = parser.parse_args()
    given = {"tokens": options.tokens, "batch_size": options.batch_size}
    size = falcon7b.TINY if options.tiny else falcon7b.Size(**given)
    print(f"{size}, {options.quantization}, gradient_checkpointing {options.gradient_checkpointing}")
    training = training_cost(size, options.quantization, options.gradient_checkpointing == "True")
    print(table({"training": training, "decoding": decoding_cost(size, options.quantization)}))
    if options.gradient_checkpointing != "True":
        print(f"kept for the backward: {training.kept / 1e9:.1f} GB")
    kernels, terabytes = training.total
    print(f"kernels {kernels} terabytes {terabytes:.2f}")


if __name__ == "__main__":
    main()
