"""The few shapes that batches are padded to where each shape costs a compilation or a recording."""

from recbole_llmfashion.llm.batching import Batch, pad_batch

SHORTEST = 64


def padded_length(length: int) -> int:
    """The next multiple of an eighth of the power of two above a length, of 64 at least.

    >>> [padded_length(length) for length in (3, 65, 600, 900, 1100)]
    [64, 128, 640, 1024, 1280]
    """
    power = 1 << (length - 1).bit_length()
    step = max(SHORTEST, power // 8)
    return -(-length // step) * step


def padded_shape(rows: int, width: int, most_rows: int, longest: int | None = None) -> tuple[int, int]:
    """The shape that a batch is padded to, so that all batches together have few.

    The rows go up to a power of two, the width to `padded_length`.

    Args:
        rows, width: of the batch.
        most_rows: no more rows than these.
        longest: most tokens that the model takes; None for any number.

    >>> [padded_shape(5, width, 8) for width in (3, 65, 600)], padded_shape(5, 990, 6, longest=1000)
    ([(8, 64), (8, 128), (8, 640)], (6, 1000))
    """
    wide = padded_length(width)
    return min(1 << (rows - 1).bit_length(), most_rows), wide if longest is None else min(wide, longest)


def in_bucket(batch: Batch, most_rows: int, pad_id: int, longest: int | None = None) -> Batch:
    """The batch in one of the few shapes of `padded_shape`; rows without a target are added."""
    rows, width = batch.input_ids.shape
    shape = padded_shape(rows, width, max(rows, most_rows), longest)
    return pad_batch(batch, shape[0], max(shape[1], width), pad_id)
