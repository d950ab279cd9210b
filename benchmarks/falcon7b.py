"""Falcon-7B's shape on a GPU with random weights: QLoRA training and constrained generation.

    python benchmarks/falcon7b.py [--tokens 1024] [--batch_size 4] [--steps 8] [--users 16] [--profile]
    python benchmarks/falcon7b.py --tiny

Nothing is downloaded: the configuration of tiiuae/falcon-7b is in this file; random weights are written to a
temporary folder (15 GB) and loaded like any backbone. For NF4 and for bf16 weights it prints the number of quantized
layers, the peak memory, training tokens/s with LoRA of rank 16 on all four projections, and the share of the device's
matrix multiplication rate, at 4 * parameters FLOP per token (forward, and backward through a frozen base;
recomputation by gradient checkpointing is not counted). It also prints users/s of constrained generation, with and
without the key `cuda_graphs`, compared with `model.generate` with a static cache, compiled and not compiled.
`--gradient_checkpointing` is the key of that name. `--profile` adds where the time of a training step goes, in
milliseconds by kind of operation, and its launches: on a GPU the time of kernels and what is left of the step (idle),
on a CPU the time of operations. `--tiny` runs everything at a small size on any machine. The last line is `ratio
<number>`: the faster constrained generation over the faster `model.generate`, with NF4 weights.
"""

import argparse
import gc
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import FalconConfig, FalconForCausalLM, GenerationConfig

from recbole_llmfashion.llm.batching import Example, left_pad
from recbole_llmfashion.llm.finetuning.step.recompute import Checkpointing
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import make_generator
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import EOS_ID, PAD_ID, save_tiny_falcon, train_tokenizer

RESPONSE, ITEMS, DIGITS, FIRST_ID = 40, 1000, 3, 10
RANK = 16
KINDS = {  # of operations, by parts of their names
    "NF4": ("bitsandbytes::",),
    "loss": ("log_softmax", "nll_loss", "cross_entropy"),
    "attention": ("scaled_dot_product", "flash_attention", "efficient_attention", "softmax", "aten::bmm"),
    "optimizer": ("_foreach_", "_fused_", "Optimizer."),
    "products": ("aten::mm", "aten::addmm", "aten::matmul", "aten::linear"),
}


@dataclass(frozen=True)
class Size:
    """What is built and how much it is given.

    Args:
        vocabulary, width, layers, heads: Falcon's; one key and value head, parallel blocks, no bias.
        tokens: of a training prompt with its response.
        batch_size, steps: prompts per step, and timed steps.
        users, new_tokens: prompts generated at once, and tokens of each response.
        matrix: side of the square product that gives the device's rate.
    """

    vocabulary: int = 65024
    width: int = 4544
    layers: int = 32
    heads: int = 71
    tokens: int = 1024
    batch_size: int = 4
    steps: int = 8
    users: int = 16
    new_tokens: int = 64
    matrix: int = 8192


TINY = Size(
    vocabulary=320, width=64, layers=2, heads=4, tokens=64, batch_size=2, steps=2, users=2, new_tokens=8, matrix=128
)


def configuration(size: Size) -> FalconConfig:
    """tiiuae/falcon-7b's, at a size."""
    return FalconConfig(
        vocab_size=size.vocabulary, hidden_size=size.width, num_hidden_layers=size.layers,
        num_attention_heads=size.heads, multi_query=True, parallel_attn=True, bias=False, alibi=False,
        new_decoder_architecture=False, attention_dropout=0.0, hidden_dropout=0.0, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=EOS_ID, pad_token_id=PAD_ID,
    )  # fmt: skip


def write_model(size: Size, device: torch.device, folder: Path) -> int:
    """Random weights, in bf16 on a GPU, with a small tokenizer; returns the parameters."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if device.type == "cuda" else torch.float32)
    try:
        with device:
            model = FalconForCausalLM(configuration(size))
    finally:
        torch.set_default_dtype(before)
    save_tiny_falcon(model, train_tokenizer(["product ID:, title:"], 300), folder)
    return model.num_parameters()


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Wall time of a call, the device's queue emptied before and after."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def matrix_rate(size: Size, device: torch.device) -> float:
    """FLOP per second of a square product in the compute type, the best of ten."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    one, other = (torch.randn(size.matrix, size.matrix, device=device, dtype=dtype) for _ in range(2))
    return 2 * size.matrix**3 / min(seconds(lambda: one @ other, device) for _ in range(10))


def peak_gb(device: torch.device) -> float:
    """Most memory so far: of the GPU's allocator, or of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def training_step(backbone: Backbone, size: Size, gradient_checkpointing: Checkpointing) -> Callable[[], float]:
    """A step of `size.batch_size` prompts, of a new adapter; the first call warms up."""
    rng = np.random.default_rng(0)
    ids = rng.integers(2, size.vocabulary, (size.batch_size, size.tokens)).astype(np.int32)
    answer = min(RESPONSE, size.tokens // 2)
    examples = [Example(row[:-answer], row[-answer:]) for row in ids]
    model: Any = new_adapter(backbone, RANK, RANK, 0.05, "auto", seed=0)
    training = TrainStep(
        model.train(), examples, 2e-5, 0.0, 1.0, 0, 2 * size.steps, size.batch_size, item_embedding_lr=0.0,
        gradient_checkpointing=gradient_checkpointing,
    )  # fmt: skip
    training.recompute.start()
    return lambda: training.step([np.arange(size.batch_size)])


def train_rate(step: Callable[[], float], size: Size, device: torch.device) -> float:
    """Training tokens per second; the first step, untimed, warms up."""
    step()
    spent = seconds(lambda: [step() for _ in range(size.steps)], device)
    return size.steps * size.batch_size * size.tokens / spent


def kind_of(name: str, shapes: Any) -> str:
    """The kind of an operation, given its name and the shapes of its inputs."""
    kind = next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "other")
    low = kind == "products" and any(RANK in shape for shape in shapes or () if isinstance(shape, list))
    return "LoRA" if low else kind


def profile(step: Callable[[], Any], device: torch.device) -> dict[str, float]:
    """Milliseconds of one call by kind of operation, and the launches."""
    from torch._C._autograd import DeviceType
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    whole = seconds(step, device)
    with profiler(activities=activities, record_shapes=True) as trace:
        seconds(step, device)
    spent = dict.fromkeys([*KINDS, "LoRA", "other"], 0.0)
    events: Any = trace.key_averages(group_by_input_shape=True)
    launches = 0
    for event in events:
        if "LaunchKernel" in event.key:
            launches += event.count
        elif not cuda or event.device_type == DeviceType.CPU:
            if not cuda:
                launches += event.count * event.key.startswith("aten::")
            time_of = event.self_device_time_total if cuda else event.self_cpu_time_total
            spent[kind_of(event.key, event.input_shapes)] += time_of / 1e3
    rows = {f"step, ms, {kind}": value for kind, value in spent.items()}
    idle = {"step, ms, idle": max(0.0, whole * 1e3 - sum(spent.values()))} if cuda else {}
    return rows | idle | {"step, ms": whole * 1e3, "step, launches": launches}


def generation_rates(backbone: Backbone, size: Size) -> dict[str, float]:
    """Users per second, the second of two calls each."""
    rng, device, lm = np.random.default_rng(1), backbone.device, backbone.model.eval()
    length = max(8, size.tokens - size.new_tokens)
    prompts = [rng.integers(2, size.vocabulary, length).astype(np.int32) for _ in range(size.users)]
    digits = [[FIRST_ID + int(d) for d in f"{item:0{DIGITS}d}"] for item in range(ITEMS)]
    allowed_ids = [[*row, FIRST_ID + 10] for row in digits]
    decoding = DecodingSettings("constrained", max_new_tokens=size.new_tokens, batch_size=size.users)
    constrained = make_generator(lm, backbone.tokenizer, decoding, allowed_ids, [FIRST_ID + 11])
    ids, mask = (tensor.to(device) for tensor in left_pad(prompts, PAD_ID))

    def plain(compiled: bool) -> None:
        config = GenerationConfig(
            max_new_tokens=size.new_tokens, min_new_tokens=size.new_tokens, do_sample=False, pad_token_id=PAD_ID,
            eos_token_id=EOS_ID, cache_implementation="static", disable_compile=not compiled,
        )  # fmt: skip
        with torch.no_grad():
            lm.generate(input_ids=ids, attention_mask=mask, generation_config=config)

    def ours(cuda_graphs: bool) -> None:
        constrained.lm.cuda_graphs = cuda_graphs
        constrained(prompts)

    ways: dict[str, Callable[[], Any]] = {"constrained": lambda: ours(False), "static": lambda: plain(False)}
    if device.type == "cuda":  # the search of a CPU records nothing, and transformers compiles on a GPU alone
        ways["constrained, cuda_graphs"] = lambda: ours(True)
        ways["static, compiled"] = lambda: plain(True)
    rates = {}
    for name, way in ways.items():
        way()
        rates[name] = size.users / seconds(way, device)
    return rates


def measure(
    size: Size, device: torch.device, gradient_checkpointing: Checkpointing = "auto", profiled: bool = False
) -> list[dict[str, Any]]:
    """A row for NF4 and one for plain weights: what the module's head lists."""
    rows = []
    rate = matrix_rate(size, device)
    with tempfile.TemporaryDirectory() as name:
        parameters = write_model(size, device, Path(name))
        for quantization in ("nf4", "none"):
            gc.collect()  # a peft model refers to itself; the one before would stay on the card
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(device)
            backbone = load_backbone(name, quantization, "auto", device)
            step = training_step(backbone, size, gradient_checkpointing)
            tokens = train_rate(step, size, device)
            row = {
                "weights": quantization if quantization == "nf4" else str(backbone.model.dtype).removeprefix("torch."),
                "parameters": parameters,
                "layers quantized": backbone.quantized_layers,
                "training peak GB": peak_gb(device),
                "tokens/s": tokens,
                "matrix TFLOP/s": rate / 1e12,
                "share": 4 * parameters * tokens / rate,
            }
            row |= profile(step, device) if profiled else {}
            del step
            backbone.model.gradient_checkpointing_disable()
            rows.append(row | {f"users/s, {way}": users for way, users in generation_rates(backbone, size).items()})
            del backbone
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, a line a quantity."""
    cells = [[name, *(row[name] for row in rows)] for name in rows[0]]
    text = [[f"{cell:,.3g}" if isinstance(cell, float) else str(cell) for cell in line] for line in cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in [text[0], ["---"] * len(text[0]), *text[1:]])


def main() -> None:
    """Prints the table and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--tokens", type=int, default=Size.tokens)
    parser.add_argument("--batch_size", type=int, default=Size.batch_size)
    parser.add_argument("--steps", type=int, default=Size.steps)
    parser.add_argument("--users", type=int, default=Size.users)
    parser.add_argument("--gradient_checkpointing", choices=("auto", "True", "False"), default="auto")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        raise SystemExit("benchmarks/falcon7b.py needs a CUDA GPU of 40 GB; --tiny runs a toy size anywhere")
    given = {"tokens": options.tokens, "batch_size": options.batch_size, "steps": options.steps, "users": options.users}
    size = TINY if options.tiny else Size(**given)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(torch.cuda.get_device_name() if device.type == "cuda" else "CPU", size)
    settings: dict[str, Checkpointing] = {"auto": "auto", "True": True, "False": False}
    rows = measure(size, device, settings[options.gradient_checkpointing], options.profile)
    print(table(rows))
    own, peer = (
        max(rate for name, rate in rows[0].items() if name.startswith(f"users/s, {way}"))
        for way in ("constrained", "static")
    )
    print(f"ratio {own / peer:.2f}")


if __name__ == "__main__":
    main()
