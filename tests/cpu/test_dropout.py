"""Dropout from bits: its rate, its independence, and that everything else is PyTorch's."""

import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from recbole_llmfashion.cpu.dropout import draws_bits, fast_dropout, keep_mask

PLAIN = F.dropout


@pytest.mark.parametrize(("p", "share"), [(0.5, 0.5), (0.25, 0.75), (0.05, 62_259 / 65_536), (0.2, 52_429 / 65_536)])
def test_the_share_that_is_kept(p, share):
    torch.manual_seed(0)
    mask, kept = keep_mask(torch.empty(1000, 1001), p)
    assert kept == share and set(mask.unique().tolist()) == {0.0, 1.0}
    # the number of kept ones of 1,001,000 draws, within 5 standard deviations
    assert abs(float(mask.mean()) - share) < 5 * (share * (1 - share) / mask.numel()) ** 0.5


def test_the_four_numbers_of_a_draw_are_independent():
    torch.manual_seed(1)
    mask, kept = keep_mask(torch.empty(4 * 100_000), 0.3)
    patterns = (mask.view(-1, 4).long() * torch.tensor([1, 2, 4, 8])).sum(1).bincount(minlength=16)
    expected = [100_000 * kept ** bin(i).count("1") * (1 - kept) ** (4 - bin(i).count("1")) for i in range(16)]
    assert stats.chisquare(patterns.numpy(), expected).pvalue > 1e-4


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (5, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_shapes_and_types(shape, dtype):
    mask, _ = keep_mask(torch.empty(shape, dtype=dtype), 0.5)
    assert mask.shape == shape and mask.dtype == dtype


def test_values_and_gradients_by_hand():
    x = torch.arange(1.0, 9.0, requires_grad=True)
    torch.manual_seed(3)
    mask, share = keep_mask(x, 0.5)
    torch.manual_seed(3)
    with fast_dropout():
        found = nn.Dropout(0.5)(x)
    assert share == 0.5 and 0 < mask.sum() < 8
    assert torch.equal(found, x * mask * 2)
    found.sum().backward()
    assert torch.equal(x.grad, mask * 2)


def test_a_seed_repeats_and_the_generator_goes_on():
    def draws():
        with fast_dropout():
            return [F.dropout(torch.ones(64), 0.5) for _ in range(2)]

    torch.manual_seed(4)
    first, second = draws()
    torch.manual_seed(4)
    assert torch.equal(draws()[0], first) and not torch.equal(first, second)


@pytest.mark.parametrize(("p", "training", "inplace"), [(0.5, False, False), (0.0, True, False), (1.0, True, False),
                                                        (1e-6, True, False), (0.5, True, True)])  # fmt: skip
def test_what_is_left_to_pytorch(p, training, inplace):
    torch.manual_seed(5)
    expected = PLAIN(torch.ones(100), p, training, inplace)
    torch.manual_seed(5)
    with fast_dropout():
        assert torch.equal(F.dropout(torch.ones(100), p, training, inplace), expected)


def test_other_devices_and_rates_are_not_taken():
    assert draws_bits(torch.empty(1), 0.5)
    assert not draws_bits(torch.empty(1, device="meta"), 0.5)
    assert not any(draws_bits(torch.empty(1), p) for p in (0.0, 1.0, 7e-6))


def test_outside_everything_is_as_before():
    with fast_dropout(False):
        assert F.dropout is PLAIN
    with pytest.raises(KeyError, match="stop"), fast_dropout():
        assert F.dropout is not PLAIN
        raise KeyError("stop")
    assert F.dropout is PLAIN
