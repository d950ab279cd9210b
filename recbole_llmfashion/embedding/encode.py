"""Encodes texts in batches, each distinct text once."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm


def encode_distinct(
    texts: Sequence[str],
    embed: Callable[[list[str]], Tensor],
    width: int,
    batch_size: int,
    show_progress: bool,
    label: str,
    delay: float = 0.0,
) -> np.ndarray:
    """Encode every distinct text once, sorted by length so that batches need little padding.

    Args:
        texts: n texts, repetitions allowed.
        embed: b texts -> [b, width].
        width: of the vectors.
        batch_size: texts per call of `embed`.
        show_progress: whether to show a progress bar.
        label: of the progress bar.
        delay: seconds after which the bar is shown.

    Returns:
        [n, width] float32.

    >>> def embed(texts):
    ...     print("embed", texts)
    ...     return torch.tensor([[float(len(text))] for text in texts])
    >>> encode_distinct(["bag", "hat", "shoe", "bag"], embed, 1, 2, False, "").ravel().tolist()
    embed ['bag', 'hat']
    embed ['shoe']
    [3.0, 3.0, 4.0, 3.0]
    """
    row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    by_length = sorted(row_of, key=len)
    vectors = np.empty((len(row_of), width), np.float32)
    starts = range(0, len(by_length), batch_size)
    with torch.inference_mode():
        for start in tqdm(starts, desc=label, unit="batch", disable=not show_progress, delay=delay):
            batch = by_length[start : start + batch_size]
            vectors[[row_of[text] for text in batch]] = embed(batch).float().cpu().numpy()
    return vectors[[row_of[text] for text in texts]]
