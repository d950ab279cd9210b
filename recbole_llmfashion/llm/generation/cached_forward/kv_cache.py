"""Key-value caches with preallocated buffers for a batch of prompts that share a prefix.

The DynamicCache of transformers copies all keys and values at each step; PreallocatedLayer writes in place, and
FixedLayer gives the attention the same tensors in each step. The StaticCache of transformers does that too; it cannot
take over buffers that a prefill has filled.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class PreallocatedLayer(DynamicLayer):
    """A DynamicLayer that writes into preallocated buffers and reuses the keys and values of a shared prefix.

    Args:
        room: maximum number of tokens per row, including the shared prefix.
        shared: keys and values [1, H, P, d] of the shared prefix; None for none.
    """

    def __init__(self, room: int, shared: tuple[Tensor, Tensor] | None = None) -> None:
        super().__init__()
        self._room, self._shared = room, shared
        self._length = shared[0].shape[-2] if shared is not None else 0
        self._buffers: list[Tensor] = []

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocates the buffers for the rows of these states."""
        self.dtype, self.device = key_states.dtype, key_states.device
        for which, states in enumerate((key_states, value_states)):
            rows, heads, _, width = states.shape
            buffer = states.new_empty(rows, heads, self._room, width)
            if self._shared is not None:
                buffer[:, :, : self._length] = self._shared[which]
            self._buffers.append(buffer)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends the states and returns all keys and values, [B, H, T, d] each."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self._length + key_states.shape[-2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, self._length : end] = states
        self._length = end
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Number of tokens of each row so far."""
        return self._length

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keeps these rows."""
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self.keys, self.values = (buffer[:, :, : self._length] for buffer in self._buffers)

    @classmethod
    def joined(cls, parts: Sequence["PreallocatedLayer"], prefix: int, length: int, room: int) -> "PreallocatedLayer":
        """Concatenates the rows of all parts, right-aligned after the shared prefix; see `join`."""
        layer = cls(room)
        layer._length, layer.is_initialized = length, True
        layer.dtype, layer.device = parts[0].dtype, parts[0].device
        for which in (0, 1):
            first = parts[0]._buffers[which]
            rows = sum(len(part._buffers[which]) for part in parts)
            buffer = first.new_empty(rows, first.shape[1], room, first.shape[3])
            buffer[:, :, prefix:length] = 0  # padding has weight 0, but 0 * uninitialized memory could be NaN
            at = 0
            for part in parts:
                own = part._buffers[which]
                start = length - part._length + prefix
                buffer[at : at + len(own), :, :prefix] = own[:, :, :prefix]
                buffer[at : at + len(own), :, start:length] = own[:, :, prefix : part._length]
                at += len(own)
            layer._buffers.append(buffer)
        layer.keys, layer.values = (buffer[:, :, :length] for buffer in layer._buffers)
        return layer


class FixedLayer(PreallocatedLayer):
    """The buffers of a PreallocatedLayer, all positions of which are read in each step.

    Args:
        layer: after a prefill; its buffers become those of this layer.
        place: int64 [1] position of the next token, on the device of the buffers; whoever feeds tokens moves it.
    """

    def __init__(self, layer: PreallocatedLayer, place: Tensor) -> None:
        super().__init__(layer._room)
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True
        self._length, self._buffers, self._place = layer._length, layer._buffers, place
        for buffer in self._buffers:
            buffer[:, :, self._length :] = 0  # weight 0, but 0 * uninitialized memory could be NaN
        self.keys, self.values = self._buffers

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Writes the states [B, H, 1, d] of a token and returns all keys and values, [B, H, room, d] each."""
        self.keys.index_copy_(2, self._place, key_states)
        self.values.index_copy_(2, self._place, value_states)
        return self.keys, self.values


def fixed(cache: DynamicCache, place: Tensor) -> DynamicCache:
    """A cache of FixedLayers from one of PreallocatedLayers, whose buffers it takes.

    Args:
        cache: after the prefill.
        place: see FixedLayer.
    """
    result = copy(cache)
    result.layers = [FixedLayer(layer, place) for layer in cache.layers]
    return result


def join(caches: Sequence[DynamicCache], prefix: int, length: int, room: int) -> DynamicCache:
    """Concatenates the rows of several caches of PreallocatedLayers.

    Args:
        caches: caches of different rows and lengths.
        prefix: length of the shared prefix, which stays left-aligned; all other tokens are right-aligned.
        length: length of the longest cache.
        room: maximum number of tokens per row.
    """
    cache = copy(caches[0])
    layers = zip(*(part.layers for part in caches), strict=True)
    cache.layers = [PreallocatedLayer.joined(parts, prefix, length, room) for parts in layers]
    return cache


def preallocate(shared: DynamicCache, room: int) -> DynamicCache:
    """A preallocated cache for a batch whose rows all start with the same prefix.

    Layers of another type than DynamicLayer (sliding windows) are copied unchanged; these cannot share a prefix.

    Args:
        shared: the cache of the prefix, one row; empty if there is no shared prefix.
        room: maximum number of tokens per row, including the prefix.
    """
    cache = copy(shared)
    cache.layers = [_preallocated(layer, room) for layer in shared.layers]
    return cache


def _preallocated(layer: Any, room: int) -> Any:
    if type(layer) is not DynamicLayer:
        return copy(layer)
    return PreallocatedLayer(room, (layer.keys, layer.values) if layer.is_initialized else None)
