"""Histories to cosines with every item of a catalogue (arXiv 2305.13731, section 2.2).

    score(history, item) = cos(h(history), h(item))

The item matrix is a constant tensor, not a parameter; `refresh` recomputes it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import normalize
from tqdm import tqdm

from recbole_llmfashion.model.recformer.encoder import Encoder
from recbole_llmfashion.model.recformer.flatten import SequenceShape, TokenBatch, TokenRows, collate, newest

ITEMS = "items.safetensors"


class Scorer(nn.Module):
    """An encoder with the item matrix of one catalogue.

    Args:
        encoder: on its device.
        rows: the items of the catalogue, then the other entries that a history may contain.
        n_items: number of items.
        shape: the form of token sequences.
        encode_tokens: maximum number of tokens, including padding, that are encoded at once without gradients.
        dtype: compute dtype; float32 disables autocast.
        show_progress: whether to show a progress bar while the catalogue is encoded.

    Attributes:
        items: [N, d] float32 unit rows.
    """

    def __init__(
        self,
        encoder: Encoder,
        rows: TokenRows,
        n_items: int,
        shape: SequenceShape,
        encode_tokens: int,
        dtype: torch.dtype = torch.float32,
        show_progress: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.rows, self.n_items, self.shape = encoder, rows, n_items, shape
        self.dtype, self._budget, self._show_progress = dtype, encode_tokens, show_progress
        self.items = torch.zeros(0)

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.encoder.item_embedding.weight.device

    def hidden(self, batch: TokenBatch) -> Tensor:
        """Hidden states [B, T, d], float32."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            hidden: Tensor = self.encoder(batch)
        return hidden.float()

    def batch(self, histories: Sequence[np.ndarray]) -> TokenBatch:
        """The token sequences of histories, see `vectors`; on the CPU."""
        return collate(self.rows, histories, self.shape, self.n_items)

    def vectors(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Unit vectors [B, d] of histories, given as entries with the most recent first."""
        return normalize(self.hidden(self.batch(histories).to(self.device))[:, 0], dim=1)

    def cosines(self, histories: Sequence[np.ndarray]) -> Tensor:
        """[B, N] cosines with every item."""
        return self.vectors(histories) @ self.items.T

    @contextmanager
    def learning(self, freeze_words: bool) -> Iterator[None]:
        """Training mode, optionally without a gradient for W_word; restored at the end."""
        words = self.encoder.longformer.get_input_embeddings()
        self.encoder.train()
        words.requires_grad_(not freeze_words)
        try:
            yield
        finally:
            self.encoder.eval()
            words.requires_grad_(True)

    @torch.no_grad()
    def encode(self, histories: Sequence[np.ndarray], label: str | None = None) -> Tensor:
        """Unit vectors [n, d] of histories in eval mode without gradients, in batches of similar length.

        Args:
            histories: see `vectors`.
            label: label of a progress bar; None for none.
        """
        training = self.encoder.training
        self.encoder.eval()
        lengths = self.sequence_lengths(histories)
        order = np.argsort(lengths, kind="stable")
        out = torch.empty((len(histories), self.items_width), device=self.device)
        silent = label is None or not self._show_progress
        with tqdm(total=len(order), desc=label, unit="sequence", disable=silent, leave=False) as bar:
            while len(order):
                size = _batch_size(lengths[order], self.shape.multiple, self._budget)
                taken, order = order[-size:], order[: len(order) - size]
                out[torch.from_numpy(taken).to(self.device)] = self.vectors([histories[i] for i in taken])
                bar.update(size)
        self.encoder.train(training)
        return out

    @property
    def items_width(self) -> int:
        """Dimension d of the vectors."""
        return int(self.encoder.item_embedding.embedding_dim)

    def sequence_lengths(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """[n] number of tokens of each sequence."""
        lengths, most = self.rows.lengths, self.shape.max_items
        full = [1 + int(lengths[newest(history, self.n_items, most)].sum()) for history in histories]
        return np.minimum(np.asarray(full, np.int64), self.shape.max_tokens)

    def refresh(self) -> None:
        """Recomputes the item matrix. Items with equal texts have equal rows; their scores may differ by rounding."""
        _, first, inverse = np.unique(self.rows.hashes[: self.n_items], return_index=True, return_inverse=True)
        vectors = self.encode([np.array([entry]) for entry in first], "items")
        self.items = vectors[torch.from_numpy(inverse).to(self.device)]

    def state(self) -> dict[str, Tensor]:
        """A copy of the weights, and the item matrix, which is never modified in place."""
        return {name: tensor.detach().clone() for name, tensor in self.encoder.state_dict().items()} | {
            ITEMS: self.items
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restores a state returned by `state`."""
        self.items = state[ITEMS]
        self.encoder.load_state_dict({name: tensor for name, tensor in state.items() if name != ITEMS})

    def save_items(self, folder: Path) -> None:
        """Writes the item matrix."""
        save_file({"items": self.items.contiguous()}, folder / ITEMS)

    def load_items(self, folder: Path) -> None:
        """Reads an item matrix written by `save_items`.

        Raises:
            ValueError: it belongs to another catalogue.
        """
        items = load_file(folder / ITEMS)["items"]
        if len(items) != self.n_items:
            raise ValueError(f"{folder}: {len(items)} item vectors for {self.n_items} items")
        self.items = items.to(self.device)


def _batch_size(lengths: np.ndarray, multiple: int, budget: int) -> int:
    """How many of the longest sequences fit into a budget of tokens, at least one; `lengths` is ascending."""
    width = -(-int(lengths[-1]) // multiple) * multiple
    return min(len(lengths), max(1, budget // width))
