"""RecBole's sequential models on rows in groups of similar length: the same outputs from fewer pads.

RecBole pads every row to `MAX_ITEM_LIST_LENGTH` items at the end, of which most rows of a shop's log need a few. To the
models here a pad at the end is nothing, so a group is cut to its longest row:

    forward(rows) = forward(rows of group g, cut to its longest one), for each g

Losses and gradients are those of RecBole but for rounding and for the numbers that dropout draws. NextItNet reads the
last position of the padded row and is not among them.
"""

from collections.abc import Callable
from typing import Any

import torch
from recbole.model import sequential_recommender as recbole
from torch import Tensor

# each takes [B, L] items (and [B] lengths) and returns [B, d]
_FORWARDS = {model.forward for model in (recbole.CORE, recbole.GRU4Rec, recbole.SASRec)}


def encodes_groups(model_class: type) -> bool:
    """Whether `group_by_length` changes such a model: CORE, GRU4Rec, SASRec, BERT4Rec, or one with their `forward`."""
    return issubclass(model_class, recbole.BERT4Rec) or getattr(model_class, "forward", None) in _FORWARDS


def by_length(lengths: Tensor, short: int = 2) -> list[Tensor]:
    """Rows in groups of similar lengths, so that a short sequence is not padded to the longest one of the batch.

    Args:
        lengths: [B] int64.
        short: sequences up to this length are one group; then up to 2, 4, 8, .. times as long.

    >>> [rows.tolist() for rows in by_length(torch.tensor([3, 40, 8, 9]), short=8)]
    [[0, 2], [3], [1]]
    """
    sizes = lengths.clamp(min=short).float().log2().ceil()
    return [torch.nonzero(sizes == size).flatten() for size in sizes.unique()]


def encode_groups(
    forward: Callable[[Tensor, Tensor], Tensor], items: Tensor, lengths: Tensor, short: int = 2
) -> Tensor:
    """[B, d] what `forward` gives for sequences [B, L] and their lengths [B], called for each group of `by_length`."""
    groups = by_length(lengths, short)
    parts = [forward(items[rows, : int(lengths[rows].max())], lengths[rows]) for rows in groups]
    return torch.cat(parts)[torch.cat(groups).argsort()]


def group_by_length(model: Any) -> None:
    """Makes a model on a CPU encode its rows in groups, if it is one of `encodes_groups`.

    BERT4Rec does so where it trains; it ranks as before. A GPU computes pads at little cost, and would wait for each
    group.
    """
    if not encodes_groups(type(model)) or next(model.parameters()).device.type != "cpu":
        return
    if isinstance(model, recbole.BERT4Rec):
        model.calculate_loss = _masked_loss(model)
    else:
        model.forward = _grouped(model.forward)


def _grouped(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A `forward` of `_FORWARDS` by groups."""

    def by_groups(item_seq: Tensor, item_seq_len: Tensor | None = None) -> Tensor:
        if item_seq_len is None:
            return encode_groups(lambda items, _: forward(items), item_seq, item_seq.count_nonzero(1))
        return encode_groups(forward, item_seq, item_seq_len)

    return by_groups


def _masked_loss(model: Any) -> Callable[[Any], Tensor]:
    """BERT4Rec's loss, the mean over the masked items of a batch, by groups and without the pads among those items.

    RecBole counts no masked item at the first position. A batch without any other has the loss 0; RecBole's is NaN.
    """
    whole = model.calculate_loss

    def by_groups(batch: Any) -> Tensor:
        counts = (batch[model.MASK_INDEX] > 0).sum(1)
        losses = [
            whole(_cut(model, batch, rows, int(counts[rows].max()))) * counts[rows].sum() / counts.sum()
            for rows in by_length(batch[model.ITEM_SEQ_LEN])
            if counts[rows].any()
        ]
        nothing: Tensor = 0 * model.output_bias.sum()
        return sum(losses, nothing)

    return by_groups


def _cut(model: Any, batch: Any, rows: Tensor, most: int) -> dict[str, Tensor]:
    """Rows of a batch: their sequences up to the longest one, and the last `most` of their masked items."""
    longest = int(batch[model.ITEM_SEQ_LEN][rows].max())
    masked = {name: batch[name][rows, -most:] for name in (model.POS_ITEMS, model.NEG_ITEMS, model.MASK_INDEX)}
    return masked | {model.MASK_ITEM_SEQ: batch[model.MASK_ITEM_SEQ][rows, :longest]}
