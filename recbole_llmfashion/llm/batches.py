"""Places in batches, longest first, so that memory runs out at once or never; where it does they are halved.

Knows lengths, not what is done with a batch.
"""

from collections.abc import Callable, Sequence
from logging import getLogger

import numpy as np
import torch
from tqdm import tqdm

from recbole_llmfashion.errors import UserError


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
