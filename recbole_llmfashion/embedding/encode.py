"""Texts to vectors in batches, each distinct text once; knows no particular encoder."""

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
) -> np.ndarray:
    """Embed every distinct text once, texts of like length together so that little is padded.

    Args:
        texts: n texts, repeats allowed.
        embed: b texts to [b, width].
        width: of the result, needed where there is no text.
        label: of the progress bar.

    Returns:
        [n, width] float32.
    """
    first_at = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    by_length = sorted(first_at, key=len)
    vectors = np.empty((len(first_at), width), np.float32)
    starts = range(0, len(by_length), batch_size)
    with torch.inference_mode():
        for start in tqdm(starts, desc=label, unit="batch", disable=not show_progress):
            batch = by_length[start : start + batch_size]
            vectors[[first_at[text] for text in batch]] = embed(batch).float().cpu().numpy()
    return vectors[[first_at[text] for text in texts]]
