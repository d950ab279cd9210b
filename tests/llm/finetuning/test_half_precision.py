"""bf16 and fp16 on a CPU, as on a GPU: training, resuming, generation, beams and merging."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.finetune import finetune
from recbole_llmfashion.llm.finetuning.job import BackboneSpec
from recbole_llmfashion.llm.finetuning.settings import FinetuneLog
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.generation.generator import make_generator
from recbole_llmfashion.llm.modeling.adapter import load_adapter, save_adapter
from recbole_llmfashion.llm.modeling.backbone import DTYPES, load_backbone
from recbole_llmfashion.llm.modeling.merge import merge_adapter
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.quick_start import load_config, run_experiment
from tests.helpers.fakes import SMALL, simulated_shop
from tests.helpers.training import SETTINGS, STEPS, examples, item_tokens, trained

SPELLED = [[40 + i % 3, 50 + i] for i in range(9)]  # IDs of two tokens


class Killed(Exception):
    pass


def fine_tune(
    spec: BackboneSpec, tokens: ItemTokens, checkpoint: CheckpointFolder | None = None, kill_at: int | None = None
) -> FinetuneLog:
    """A fine-tuning that fails after `kill_at` steps."""
    step = TrainStep.step

    def dying(self: TrainStep, batches: Any) -> float:
        if self.optimizer.steps == kill_at:
            raise Killed
        return step(self, batches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainStep, "step", dying)
        return finetune(spec.load(tokens), examples(tokens), SETTINGS, False, lambda _: 0.5, checkpoint)


@pytest.mark.parametrize(("dtype", "quantization"), [("bf16", "nf4"), ("fp16", "none")])
def test_a_fine_tuning_in_half_precision(
    folder: Path, tmp_path: Path, tokenizer: Any, dtype: Any, quantization: Any
) -> None:
    tokens, spec = item_tokens(str(folder)), BackboneSpec(str(folder), quantization, dtype, "cpu")
    whole = fine_tune(spec, tokens)
    checkpoint = CheckpointFolder(tmp_path / "running", every=2)
    with pytest.raises(Killed):
        fine_tune(spec, tokens, checkpoint, kill_at=5)
    log = fine_tune(spec, tokens, checkpoint)
    assert log.resumed_at == [4] and log.losses == whole.losses and len(log.losses) == STEPS
    assert torch.equal(trained(log), trained(whole)) and trained(log).dtype == torch.float32
    assert log.model.dtype == DTYPES[dtype] and log.losses[-1] < log.losses[0]

    save_adapter(log.model, tmp_path / "adapter")
    model = load_adapter(spec.load(tokens), tmp_path / "adapter")
    prompts = [example.prompt for example in examples(tokens, 6)]
    for ids in ([list(row) for row in tokens.ids], SPELLED):
        generator = make_generator(model, tokenizer, DecodingSettings(max_new_tokens=6, batch_size=4), ids, [])
        items, scores = generator.best(prompts, 5)
        assert len(generator(prompts)) == 6 and np.isfinite(scores).all()
        assert all(len(set(row)) == 5 for row in items.tolist()) and (np.diff(scores) <= 0).all()
    sampled = make_generator(model, tokenizer, DecodingSettings(decoding="sample", max_new_tokens=6), [], [])
    assert sampled(prompts) == sampled(prompts)

    merge_adapter(spec.load(tokens), tmp_path / "adapter", tmp_path / "merged")
    merged = load_backbone(str(tmp_path / "merged"), "none", dtype, "cpu").model
    batch = torch.from_numpy(np.stack([prompt[:4] for prompt in prompts]).astype(np.int64))
    with torch.no_grad():
        expected, found = model(batch).logits.float(), merged(batch).logits.float()
    assert merged.dtype == DTYPES[dtype]
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("item_tokens", ["atomic", "text", "semantic"])
@pytest.mark.parametrize("quantization", ["nf4", "none"])
@pytest.mark.parametrize("compute_dtype", ["bf16", "fp16"])
def test_the_main_job_in_half_precision(
    tmp_path: Path, compute_dtype: str, quantization: str, item_tokens: str
) -> None:
    root = simulated_shop(tmp_path)
    keys = {"compute_dtype": compute_dtype, "quantization": quantization, "item_tokens": item_tokens}
    places = {"data_path": str(root), "checkpoint_dir": str(root / "saved")}
    result = run_experiment(load_config("LLMFashionRec", "shoes", (), SMALL | keys | places), keep=True)
    assert 0 < result.metrics["recall@10"] < 1 and "adapter" in result.seconds
    layers = result.details["generation"]["quantized_layers"]
    assert (layers > 0) is (quantization == "nf4")
