"""benchmarks/step_cost.py: what single kernels cost, by hand, and the counts of the package's steps."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tests.helpers.scripts import load_script

step_cost = load_script("step_cost")
TINY = step_cost.falcon7b.TINY


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def test_a_kernel_moves_what_it_reads_and_writes():
    with step_cost.CostMode() as mode:
        y = empty(4, 8) @ empty(8, 12)  # 128 + 384 bytes read, 192 written
        y.view(2, 24).T.contiguous()  # a view, and a copy of 192 bytes each way
        y + empty(12)  # 192 + 48 read, 192 written; repeated rows are read once
        y.add_(1)  # 192 each way
        y.copy_(empty(4, 12))  # 192 each way: what is overwritten is not read
        F.embedding(torch.empty(5, dtype=torch.long, device="meta"), empty(1000, 8))  # 5 rows of 32 bytes
    assert dict(mode.cost.moved) == {"products": 704, "copies": 384 + 384, "elementwise": 432 + 384 + 320}
    assert mode.cost.total == (6, 2608 / 1e12) and mode.cost.flop == 2 * 4 * 8 * 12 and mode.cost.host == 0


def test_lists_take_a_kernel_a_chunk():
    small, large = [empty(10)] * 111, [empty(65536)] * 100
    with step_cost.CostMode() as mode:
        torch._foreach_add_(small, 1)  # 110 tensors per kernel
        torch._foreach_add_(small, small)  # 64
        torch._foreach_mul_(large * 4, 2)  # 400 blocks of 65,536 numbers, 320 per kernel
    assert mode.cost.kernels["optimizer"] == 2 + 2 + 4


def test_the_kernel_of_attention():
    q, one = empty(2, 4, 16, 8, dtype=torch.bfloat16), empty(2, 1, 16, 8, dtype=torch.bfloat16)
    mask = empty(2, 1, 16, 16, dtype=torch.bfloat16)
    with step_cost.as_on_a_gpu(), step_cost.CostMode() as mode:
        F.scaled_dot_product_attention(q, q, q, is_causal=True)
        F.scaled_dot_product_attention(q, q, q, attn_mask=mask)
        F.scaled_dot_product_attention(q, one, one, is_causal=True, enable_gqa=True)
        assert mode.cost.total[0] == mode.cost.kernels["attention"] == 3
        F.scaled_dot_product_attention(q, one, one, is_causal=True)
        assert mode.cost.total[0] > 8  # the scores are written to memory
    assert F.scaled_dot_product_attention is step_cost.PLAIN_ATTENTION


def test_copies_to_the_host_are_counted():
    with step_cost.CostMode(found=3) as mode:
        assert float(empty(1)) == 1.0 and bool(empty(2).isfinite().all())
        assert len(empty(4).nonzero()) == 3
        float(torch.ones(1))  # on the CPU
    assert mode.cost.host == 3


@pytest.mark.parametrize(
    ("quantization", "checkpointing", "kernels"), [("nf4", True, 241), ("nf4", False, 178), ("none", False, 164)]
)
def test_kernels_of_a_training_step(quantization: str, checkpointing: bool, kernels: int):
    cost = step_cost.training_cost(TINY, quantization, checkpointing)
    assert cost.total[0] == kernels
    assert cost.host == 3  # the positions of the targets, the loss, the norm of the gradient


def test_what_is_kept_for_the_backward():
    """Twice the prompts keep twice the activations, but for copies of LoRA's matrices and the tables of rotation."""
    one, two = (step_cost.training_cost(replace(TINY, batch_size=size), "nf4", False).kept for size in (2, 4))
    # an activation [2, 64, 64] in bf16; of each layer, the MLP keeps four times as much three times
    activation = 2 * 64 * 64 * 2
    assert one > 2 * 10 * activation and two - one == pytest.approx(one, rel=0.15)


def test_kernels_of_a_decoding_step():
    cost = step_cost.decoding_cost(TINY, "nf4")
    assert cost.total[0] == 131 and cost.host == 0
