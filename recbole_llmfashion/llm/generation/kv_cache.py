"""Keys and values of a batch of prompts with a common beginning, written in place into room that is taken once.

transformers' DynamicCache copies all that it holds at each step. Knows layers and shapes, not what a model is.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class PreallocatedLayer(DynamicLayer):
    """A DynamicLayer that neither copies what it holds at each step nor computes what its rows share twice.

    Args:
        room: most tokens of a row, what is shared included.
        shared: keys and values [1, H, P, d] of the tokens that every row begins with; None for none.
    """

    def __init__(self, room: int, shared: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self._room, self._shared = room, shared
        self._length = shared[0].shape[-2] if shared is not None else 0
        self._buffers: list[Tensor] = []

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Takes the room, for as many rows as these states have."""
        self.dtype, self.device = key_states.dtype, key_states.device
        for place, states in enumerate((key_states, value_states)):
            rows, heads, _, width = states.shape
            buffer = states.new_empty(rows, heads, self._room, width)
            if self._shared is not None:
                buffer[:, :, : self._length] = self._shared[place]
            self._buffers.append(buffer)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Writes the states behind the others and returns all of them, [B, H, T, d] each."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self._length + key_states.shape[-2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, self._length : end] = states
        self._length = end
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Tokens of each row so far."""
        return self._length

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps these rows."""
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self.keys, self.values = (buffer[:, :, : self._length] for buffer in self._buffers)

    @classmethod
    def joined(cls, parts: Sequence["PreallocatedLayer"], begun: int, length: int, room: int) -> "PreallocatedLayer":
        """The rows of all parts with their last tokens in one column; see `join`."""
        layer = cls(room)
        layer._length, layer.is_initialized = length, True
        layer.dtype, layer.device = parts[0].dtype, parts[0].device
        for place in (0, 1):
            first = parts[0]._buffers[place]
            rows = sum(len(part._buffers[place]) for part in parts)
            buffer = first.new_empty(rows, first.shape[1], room, first.shape[3])
            buffer[:, :, begun:length] = 0  # an empty column has weight 0, but 0 times what lies there must be 0
            at = 0
            for part in parts:
                own = part._buffers[place]
                buffer[at : at + len(own), :, :begun] = own[:, :, :begun]
                buffer[at : at + len(own), :, length - part._length + begun : length] = own[:, :, begun : part._length]
                at += len(own)
            layer._buffers.append(buffer)
        layer.keys, layer.values = (buffer[:, :, :length] for buffer in layer._buffers)
        return layer


def join(caches: Sequence[DynamicCache], begun: int, length: int, room: int) -> DynamicCache:
    """Caches of RoomyLayers as one.

    Args:
        caches: of different rows and lengths.
        begun: tokens that all rows begin with; they stay at the left, the others go to the right.
        length: of the longest.
        room: most tokens of a row.
    """
    cache = copy(caches[0])
    layers = zip(*(part.layers for part in caches), strict=True)
    cache.layers = [PreallocatedLayer.joined(parts, begun, length, room) for parts in layers]
    return cache


def roomy(shared: DynamicCache, room: int) -> DynamicCache:
    """A cache for a batch whose rows all begin with what `shared` holds.

    Layers of another kind than DynamicLayer (sliding windows) stay what they are; nothing can be shared then.

    Args:
        shared: of one row; empty where nothing is shared.
        room: most tokens of a row, what is shared included.
    """
    cache = copy(shared)
    cache.layers = [_own(layer, room) for layer in shared.layers]
    return cache


def _own(layer: Any, room: int) -> Any:
    if type(layer) is not DynamicLayer:
        return copy(layer)
    return PreallocatedLayer(room, (layer.keys, layer.values) if layer.is_initialized else None)
