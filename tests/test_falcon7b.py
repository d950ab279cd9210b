"""benchmarks/falcon7b.py at its toy size on a CPU; the real shape is counted without memory for it."""

import pytest
import torch
from transformers import FalconForCausalLM

from tests.helpers.scripts import load_script

falcon7b = load_script("falcon7b")


def test_the_real_shape_has_falcon_7bs_parameters():
    with torch.device("meta"):
        model = FalconForCausalLM(falcon7b.configuration(falcon7b.Size()))
    # embeddings (tied), 32 blocks of qkv, dense, two MLP matrices and one norm, and the last norm
    block = 4544 * (4544 + 2 * 64) + 4544**2 + 2 * 4 * 4544**2 + 2 * 4544
    assert model.num_parameters() == 65024 * 4544 + 32 * block + 2 * 4544 == 6_921_720_704


def test_the_toy_size_fills_the_table():
    nf4, plain = falcon7b.measure(falcon7b.TINY, torch.device("cpu"), True, profiled=True)
    assert (nf4["weights"], plain["weights"]) == ("nf4", "float32")
    assert (nf4["layers quantized"], plain["layers quantized"]) == (8, 0)
    block = 64 * (64 + 2 * 16) + 64**2 + 2 * 4 * 64**2 + 2 * 64
    for row in (nf4, plain):
        assert row["parameters"] == 320 * 64 + 2 * block + 2 * 64
        assert row["share"] == pytest.approx(4 * row["parameters"] * row["tokens/s"] / row["matrix TFLOP/s"] / 1e12)
        assert row["users/s, constrained"] > 0 and row["users/s, static"] > 0
        assert all(row[f"step, ms, {kind}"] > 0 for kind in ("products", "LoRA", "attention", "loss", "other"))
        assert row["step, launches"] > 200
    assert nf4["step, ms, NF4"] > 0 == plain["step, ms, NF4"]
    lines = falcon7b.table([nf4, plain]).splitlines()
    assert lines[0] == "| weights | nf4 | float32 |" and len(lines) == 1 + len(nf4)
    assert lines[3] == "| layers quantized | 8 | 0 |"


def test_kinds_of_operations():
    assert falcon7b.kind_of("aten::mm", [[4096, 4544], [4544, 4672]]) == "products"
    assert falcon7b.kind_of("aten::addmm_", [[4096, 4672], [4096, 16], [16, 4672], []]) == "LoRA"
    assert falcon7b.kind_of("aten::_log_softmax_backward_data", []) == "loss"
    assert falcon7b.kind_of("aten::_flash_attention_forward", []) == "attention"
    assert falcon7b.kind_of("aten::gelu", [[16, 4]]) == "other"
