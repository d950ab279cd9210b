"""Fine-tuning steps compared with TRL's SFTTrainer on the same batches.

    python benchmarks/train.py [--batches 12] [--batch_size 16] [--rounds 3] [--threads 1] [--clock wall]

Both train the shape of the tiny-falcon backbone (vocabulary 4,096, width 128, 4 layers, 4 heads, LoRA of rank 16 on
all four projections, dropout 0.05) in fp32, from the same weights and adapter, with AdamW at the same learning rates.
Prompts have 100 to 216 random tokens, responses 26 to 34; the loss is on the response only. Batches, their order,
their padding and the loss of each step are equal, which is asserted. A second line shows the gain from batches of
similar length. The last line is `ratio <number>`: prompts/s of this package over those of TRL. `--clock cpu` measures
CPU seconds, for a shared machine.

TRL is not a dependency: `uv run --extra benchmarks python benchmarks/train.py`, or `pip install trl datasets`.
"""

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_llmfashion.llm.batching import Example, batches_by_length
from recbole_llmfashion.llm.finetuning.step.train_step import TrainStep
from recbole_llmfashion.llm.modeling.adapter import new_adapter
from recbole_llmfashion.llm.modeling.backbone import load_backbone
from recbole_llmfashion.llm.modeling.tiny_falcon import (
    EOS_ID,
    new_tiny_falcon,
    save_tiny_falcon,
    train_tokenizer,
)

VOCABULARY, WIDTH, LAYERS, HEADS = 4096, 128, 4, 4
PROMPT, RESPONSE = (100, 216), (26, 34)
RATE, SEED, TOLERANCE = 5e-4, 7, 1e-3
Run = Callable[[], tuple[list[float], float]]


def make_examples(count: int) -> list[Example]:
    """Random ids of the lengths that footwear's prompts have."""
    rng = np.random.default_rng(SEED)
    draw = lambda low, high: rng.integers(2, VOCABULARY, rng.integers(low, high + 1)).astype(np.int32)  # noqa: E731
    return [
        Example(draw(*PROMPT), np.r_[draw(RESPONSE[0] - 1, RESPONSE[1] - 1), EOS_ID].astype(np.int32))
        for _ in range(count)
    ]


def adapted(folder: Path) -> Any:
    """The saved model with a fresh adapter, the same each time."""
    return new_adapter(load_backbone(str(folder), "none", "fp32", "cpu"), 16, 16, 0.05, "auto", SEED)


def ours(folder: Path, examples: list[Example], batches: Sequence[np.ndarray], clock: Callable[[], float]) -> Run:
    """A run of our steps: losses, seconds."""

    def run() -> tuple[list[float], float]:
        model = adapted(folder).train()
        training = TrainStep(
            model, examples, RATE, 0.0, 1.0, 0, len(batches), max(map(len, batches)), item_embedding_lr=0.0
        )
        torch.manual_seed(SEED)
        start = clock()
        for batch in batches:
            training.step([batch])
        return training.losses, clock() - start

    return run


def theirs(folder: Path, examples: list[Example], batches: Sequence[np.ndarray], clock: Callable[[], float]) -> Run:
    """A run of SFTTrainer's steps on the same batches: losses, seconds."""
    try:
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer
    except ImportError as error:
        raise SystemExit(f"{error}; get the peer with `uv run --extra benchmarks python benchmarks/train.py`") from None
    from torch.utils.data import DataLoader
    from transformers import TrainerCallback

    class SameBatches(SFTTrainer):
        def get_train_dataloader(self) -> DataLoader:
            batched = [batch.tolist() for batch in batches]
            return DataLoader(self.train_dataset, batch_sampler=batched, collate_fn=self.data_collator)

        def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            loss = super().training_step(*args, **kwargs)
            losses.append(loss)
            return loss

    class Timed(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            torch.manual_seed(SEED)
            times.append(clock())

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            times.append(clock())

    rows = {
        "input_ids": [[*e.prompt.tolist(), *e.response.tolist()] for e in examples],
        "completion_mask": [[0] * len(e.prompt) + [1] * len(e.response) for e in examples],
    }
    losses: list[torch.Tensor] = []
    times: list[float] = []

    def run() -> tuple[list[float], float]:
        losses.clear()
        times.clear()
        with tempfile.TemporaryDirectory() as output:
            config = SFTConfig(
                output_dir=output, max_steps=len(batches), per_device_train_batch_size=max(map(len, batches)),
                learning_rate=RATE, lr_scheduler_type="linear", warmup_steps=0, weight_decay=0.0, max_grad_norm=1.0,
                completion_only_loss=True, max_length=None, gradient_checkpointing=False, bf16=False, use_cpu=True,
                logging_strategy="no", save_strategy="no", report_to="none", disable_tqdm=True, seed=SEED,
                dataloader_pin_memory=False,
            )  # fmt: skip
            trainer = SameBatches(
                model=adapted(folder),
                args=config,
                train_dataset=Dataset.from_dict(rows),
                processing_class=load_backbone(str(folder), "none", "fp32", "cpu").tokenizer,
                callbacks=[Timed()],
            )
            trainer.train()
        return [float(loss) for loss in losses], times[1] - times[0]

    return run


def main() -> None:
    """Prints both rates a round, what bucketing adds and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    clock = time.process_time if options.clock == "cpu" else time.perf_counter

    examples = make_examples(options.batches * options.batch_size)
    lengths = np.asarray([len(example) for example in examples])
    bucketed = batches_by_length(lengths, options.batch_size, np.random.default_rng(SEED))
    shuffled = np.array_split(np.random.default_rng(SEED).permutation(len(examples)), options.batches)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer = train_tokenizer(["product ID:, title:"], 300)
        save_tiny_falcon(new_tiny_falcon(VOCABULARY, WIDTH, LAYERS, HEADS, SEED), tokenizer, folder)
        sides = [side(folder, examples, bucketed, clock) for side in (ours, theirs)]
        mixed = ours(folder, examples, shuffled, clock)
        ratios, gains = [], []
        for _ in range(options.rounds):
            (losses, own), (expected, peer), (_, unsorted) = sides[0](), sides[1](), mixed()
            apart = float(np.abs(np.subtract(losses, expected)).max())
            assert apart < TOLERANCE, f"losses differ by {apart}"
            ratios.append(peer / own)
            gains.append(unsorted / own)
            print(
                f"{len(losses)} steps of {options.batch_size} prompts, losses equal within {apart:.1e}: "
                f"TRL {len(examples) / peer:.1f} prompts/s, ours {len(examples) / own:.1f} prompts/s",
                flush=True,
            )
    padding = [1 - lengths.sum() / sum(int(lengths[b].max()) * len(b) for b in way) for way in (shuffled, bucketed)]
    print(
        f"batches of like length: {statistics.median(gains):.2f} times ours on mixed ones; "
        f"padding {padding[1]:.1%} instead of {padding[0]:.1%}"
    )
    print(f"ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
