"""An export is an adapter as peft and transformers load it: the card's own lines give the model that serves."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recbole_llmfashion.pipeline.export import export_run
from recbole_llmfashion.pipeline.load import load_run


def loaded_by_the_card(folder):
    """The tokenizer and the model of the Python block of the card that imports peft."""
    blocks = re.findall(r"^```python\n(.*?)^```", (folder / "README.md").read_text(), re.M | re.S)
    (block,) = (block for block in blocks if "import PeftModel" in block)
    names = {}
    exec(compile(block.replace('"DIR', f'"{folder}'), "card", "exec"), names)
    return names["tokenizer"], names["model"].eval()


@pytest.mark.parametrize("kind", ["atomic", pytest.param("text", marks=pytest.mark.slow)])
def test_peft_loads_the_model_that_serves(kind, tiny_run, request, tmp_path):
    """With tokens of the items, whose embeddings are in the adapter, and without."""
    run = tiny_run if kind == "atomic" else Path(request.getfixturevalue("text_job").run)
    export_run(run, tmp_path / "out")
    about = json.loads((tmp_path / "out/adapter_config.json").read_text())
    assert about["peft_type"] == "LORA" and about["base_model_name_or_path"] is None
    assert (kind == "atomic") == any(
        "trainable_tokens" in name for name in load_file(tmp_path / "out/adapter_model.safetensors")
    )
    ours = load_run(tmp_path / "out")
    tokenizer, model = loaded_by_the_card(tmp_path / "out")
    text = "red boots, size 38: 13"
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    assert ids.tolist() == [ours.tokenizer(text)["input_ids"]]
    if ours.item_tokens is not None:
        ids = torch.cat([ids, torch.tensor([[int(tokens[0]) for tokens in ours.item_tokens.ids]])], 1)
    with torch.no_grad():
        expected, found = ours.model(input_ids=ids).logits, model(input_ids=ids).logits
        plain = model.get_base_model()  # the adapter's layers are in it
        with model.disable_adapter():
            assert not torch.allclose(plain(input_ids=ids).logits[..., : found.shape[-1]], found, atol=1e-4)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
