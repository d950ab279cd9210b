"""Padded batches of token ids: right padding for training, left padding for generation, similar lengths together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from logging import getLogger

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from recbole_llmfashion.errors import UserError

# Examples are shuffled, then sorted by length within chunks of this many batches: little padding, yet a random order.
SORTED_BATCHES = 16


@dataclass(frozen=True)
class Example:
    """One training prompt.

    Args:
        prompt: int32 [P], P >= 1.
        response: int32 [R], R >= 1; the loss is on these tokens. For fine-tuning the last one is eos.
        prompt_targets: int64 positions in the prompt whose tokens are targets too; never position 0. None for none.

    >>> example = Example(np.array([5, 8, 9, 2]), np.array([7, 1]), np.array([1, 2]))
    >>> len(example), example.target_tokens, example.target_items
    (6, 4, 2)
    """

    prompt: np.ndarray
    response: np.ndarray
    prompt_targets: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.prompt) < 1 or len(self.response) < 1:
            raise ValueError("an example needs at least one prompt token and one response token")

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)

    @property
    def target_tokens(self) -> int:
        """Number of target tokens, those that the loss is on."""
        return len(self.response) + (0 if self.prompt_targets is None else len(self.prompt_targets))

    @property
    def target_items(self) -> int:
        """Number of target items: that of the response, and one per run of adjacent positions in `prompt_targets`."""
        if self.prompt_targets is None or not len(self.prompt_targets):
            return 1
        return 2 + int(np.count_nonzero(np.diff(self.prompt_targets) > 1))

    def arrays(self) -> tuple[np.ndarray, ...]:
        """All of its arrays, for a digest."""
        return (self.prompt, self.response, *(() if self.prompt_targets is None else (self.prompt_targets,)))

    def response_only(self) -> "Example":
        """The same example with the loss on its response only."""
        return Example(self.prompt, self.response)


@dataclass(frozen=True)
class Batch:
    """Right-padded examples.

    Args:
        input_ids: int64 [B, T].
        attention_mask: int64 [B, T], 1 at tokens, 0 at padding.
        response_mask: bool [B, T], True at target tokens; never at position 0.
    """

    input_ids: Tensor
    attention_mask: Tensor
    response_mask: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(self.input_ids.to(device), self.attention_mask.to(device), self.response_mask.to(device))

    def targets(self) -> tuple[Tensor, Tensor, Tensor]:
        """Row, column and token of each target, int64 [M] each; the column is that of the logits that predict it."""
        rows, columns = torch.nonzero(self.response_mask[:, 1:], as_tuple=True)
        return rows, columns, self.input_ids[rows, columns + 1]


def limit_batch_size(examples: Sequence[Example], batch_size: int, max_targets: int) -> int:
    """The batch size, from 1 to `batch_size`, at which a batch has on average at most `max_targets` target items.

    Long histories have many targets per prompt; smaller batches then give more steps per epoch.

    >>> history = Example(np.array([5, 8, 2, 9]), np.array([7, 1]), np.array([1, 3]))  # three targets
    >>> limit_batch_size([history] * 4, batch_size=32, max_targets=24)
    8
    """
    mean = sum(example.target_items for example in examples) / len(examples)
    return max(1, min(batch_size, int(max_targets / mean)))


def _pad(rows: Sequence[np.ndarray], pad_id: int, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pads rows to a matrix int64 [B, T]; also bool [B, T], True at tokens."""
    lengths = np.asarray([len(row) for row in rows])
    width = int(lengths.max())
    columns = np.arange(width)[None, :]
    inside = columns >= width - lengths[:, None] if left else columns < lengths[:, None]
    ids = np.full(inside.shape, pad_id, np.int64)
    ids[inside] = np.concatenate(rows)
    return ids, inside


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Right-padded batch for training; the masks mark the padding, so `pad_id` may be the eos."""
    ids, inside = _pad([np.concatenate([e.prompt, e.response]) for e in examples], pad_id, left=False)
    starts = np.asarray([len(e.prompt) for e in examples])
    response = inside & (np.arange(ids.shape[1])[None, :] >= starts[:, None])
    for row, example in enumerate(examples):
        if example.prompt_targets is not None:
            response[row, example.prompt_targets] = True
    return Batch(torch.from_numpy(ids), torch.from_numpy(inside.astype(np.int64)), torch.from_numpy(response))


def pad_batch(batch: Batch, rows: int, width: int, pad_id: int) -> Batch:
    """The batch with more padding on the right and more rows, which have no target.

    An added row is all padding that the mask shows as tokens: attention over no token at all would be NaN.
    """
    count, length = batch.input_ids.shape
    more = (0, width - length, 0, rows - count)
    mask = F.pad(batch.attention_mask, more)
    mask[count:] = 1
    return Batch(F.pad(batch.input_ids, more, value=pad_id), mask, F.pad(batch.response_mask, more))


def left_pad(prompts: Sequence[np.ndarray], pad_id: int) -> tuple[Tensor, Tensor]:
    """Left-padded input_ids and attention_mask for generation, int64 [B, T] each.

    >>> left_pad([np.array([5]), np.array([6, 7])], pad_id=0)[0].tolist()
    [[0, 5], [6, 7]]
    """
    ids, inside = _pad(prompts, pad_id, left=True)
    return torch.from_numpy(ids), torch.from_numpy(inside.astype(np.int64))


def batches_by_length(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Batches of examples of similar length in random order; each index occurs once.

    Args:
        lengths: [n] number of tokens of each example.
        batch_size: examples per batch; one batch may be smaller.
        rng: random generator of the batches and their order.
    """
    shuffled = rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(shuffled), batch_size * SORTED_BATCHES):
        chunk = shuffled[start : start + batch_size * SORTED_BATCHES]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches.extend(chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


def _fits(process: Callable[[np.ndarray], None], chosen: np.ndarray) -> bool:
    """Processes a batch; False if memory ran out. The memory of the failed batch is released on return."""
    try:
        process(chosen)
    except torch.cuda.OutOfMemoryError:
        return False
    return True


def each_batch(
    lengths: Sequence[int],
    size: int,
    process: Callable[[np.ndarray], None],
    show_progress: bool,
    name: str = "generating",
    size_key: str = "generation_batch_size",
    keep_bar: bool = True,
) -> None:
    """Calls `process` on batches from the longest row to the shortest; halves a batch if the GPU runs out of memory.

    Args:
        lengths: number of tokens of each row.
        size: rows per batch.
        process: receives row indices, int64 [B]; it is called again for rows of a batch that failed.
        show_progress: whether to show a progress bar.
        name: of the progress bar.
        size_key: the key that sets `size`, for the message.
        keep_bar: whether the finished bar stays on the screen.

    Raises:
        UserError: not enough memory for one row.
    """
    order = np.argsort([-length for length in lengths], kind="stable")
    with tqdm(total=len(order), desc=name, unit="prompt", disable=not show_progress, leave=keep_bar) as bar:
        while len(order):
            chosen = order[:size]
            if not _fits(process, chosen):
                size = _halved(len(chosen), size_key)
                continue
            order = order[len(chosen) :]
            bar.update(len(chosen))


def _halved(size: int, size_key: str) -> int:
    torch.cuda.empty_cache()
    if size == 1:
        raise UserError(
            f"{size_key}: not enough GPU memory for one prompt; set a smaller max_length or free GPU memory"
        )
    getLogger(__name__).warning(f"out of memory with a batch of {size} prompts; continuing with {size // 2}")
    return size // 2
