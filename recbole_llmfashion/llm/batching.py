"""Token-id examples to padded batches: right padding to train, left padding to generate, similar lengths together.

Knows nothing of text, tokenizers or models.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from logging import getLogger

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from recbole_llmfashion.errors import UserError

# Batches are cut from runs of this many batches sorted by length: little padding, yet a different order each epoch.
SORTED_BATCHES = 16


@dataclass(frozen=True)
class Example:
    """One training prompt.

    Args:
        prompt: int32 [P], P >= 1.
        response: int32 [R], R >= 1; the loss is on these tokens. For fine-tuning the last one is the eos.
        named: int64 places in the prompt whose tokens are learned too, none of them the first; None for none.
    """

    prompt: np.ndarray
    response: np.ndarray
    named: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.prompt) < 1 or len(self.response) < 1:
            raise ValueError("an example needs at least one prompt token and one response token")

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)

    @property
    def learned(self) -> int:
        """Tokens that the loss is on."""
        return len(self.response) + (0 if self.named is None else len(self.named))

    @property
    def targets(self) -> int:
        """Items that it asks for: its response's, and those named in the prompt, each in places side by side."""
        if self.named is None or not len(self.named):
            return 1
        return 2 + int(np.count_nonzero(np.diff(self.named) > 1))

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All that it holds, for a digest."""
        return (self.prompt, self.response, *(() if self.named is None else (self.named,)))

    def response_only(self) -> "Example":
        """The same example with the loss on its response alone."""
        return Example(self.prompt, self.response)


@dataclass(frozen=True)
class Batch:
    """Right-padded examples.

    Args:
        input_ids: int64 [B, T].
        attention_mask: int64 [B, T], 1 at tokens, 0 at padding.
        response_mask: bool [B, T], True at the tokens that the loss is on; never at position 0.
    """

    input_ids: Tensor
    attention_mask: Tensor
    response_mask: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(self.input_ids.to(device), self.attention_mask.to(device), self.response_mask.to(device))


def prompts_a_batch(examples: Sequence[Example], most: int, targets: int) -> int:
    """How many prompts ask for at most so many targets, on the average: `most` at most, and one at least.

    The longer the histories, the more a step of `most` prompts would learn at once, and the fewer steps a pass had.
    """
    mean = sum(example.targets for example in examples) / len(examples)
    return max(1, min(most, int(targets / mean)))


def _scatter(rows: Sequence[np.ndarray], pad_id: int, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows into one padded matrix, and where they lie in it."""
    lengths = np.asarray([len(row) for row in rows])
    width = int(lengths.max())
    columns = np.arange(width)[None, :]
    inside = columns >= width - lengths[:, None] if left else columns < lengths[:, None]
    ids = np.full(inside.shape, pad_id, np.int64)
    ids[inside] = np.concatenate(rows)
    return ids, inside


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Right-padded batch for training; padding is told by the mask, so `pad_id` may be the eos."""
    ids, inside = _scatter([np.concatenate([e.prompt, e.response]) for e in examples], pad_id, left=False)
    starts = np.asarray([len(e.prompt) for e in examples])
    response = inside & (np.arange(ids.shape[1])[None, :] >= starts[:, None])
    for row, example in enumerate(examples):
        if example.named is not None:
            response[row, example.named] = True
    return Batch(torch.from_numpy(ids), torch.from_numpy(inside.astype(np.int64)), torch.from_numpy(response))


def left_pad(prompts: Sequence[np.ndarray], pad_id: int) -> tuple[Tensor, Tensor]:
    """Left-padded (input_ids, attention_mask), int64 [B, T] each, for generation."""
    ids, inside = _scatter(prompts, pad_id, left=True)
    return torch.from_numpy(ids), torch.from_numpy(inside.astype(np.int64))


def batches_by_length(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Each index once, in batches of similar length whose order is drawn from `rng`.

    Args:
        lengths: [n] tokens of each example.
        batch_size: examples a batch; one batch may be smaller.
        rng: decides which examples meet and in which order the batches come.
    """
    shuffled = rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(shuffled), batch_size * SORTED_BATCHES):
        run = shuffled[start : start + batch_size * SORTED_BATCHES]
        run = run[np.argsort(lengths[run], kind="stable")]
        batches.extend(run[i : i + batch_size] for i in range(0, len(run), batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


def _fits(answer: Callable[[np.ndarray], None], chosen: np.ndarray) -> bool:
    """False where memory ran out; what the failed batch held is free by then."""
    try:
        answer(chosen)
    except torch.cuda.OutOfMemoryError:
        return False
    return True


def each_batch(lengths: Sequence[int], size: int, answer: Callable[[np.ndarray], None], show_progress: bool) -> None:
    """Asks `answer` about each batch, and about half of one again where the memory of the GPU ran out.

    Args:
        lengths: by place.
        size: places at once.
        answer: takes places, int64 [B]; what it has not finished it is asked again.

    Raises:
        UserError: not even one place fits.
    """
    order = np.argsort([-length for length in lengths], kind="stable")
    with tqdm(total=len(order), desc="generating", unit="prompt", disable=not show_progress) as bar:
        while len(order):
            chosen = order[:size]
            if not _fits(answer, chosen):
                size = _halved(len(chosen))
                continue
            order = order[len(chosen) :]
            bar.update(len(chosen))


def _halved(size: int) -> int:
    torch.cuda.empty_cache()
    if size == 1:
        raise UserError(
            "generation_batch_size: the GPU has no memory for even one prompt; set a smaller max_length, or free memory"
        )
    getLogger(__name__).warning(f"out of memory with {size} prompts at once; going on with {size // 2}")
    return size // 2
