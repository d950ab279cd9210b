"""Keys and values written in place, with a shared prefix and with rows of different lengths."""

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from recbole_llmfashion.llm.generation.cached_forward.kv_cache import PreallocatedLayer, join, preallocate


def states(*rows: list[float]) -> torch.Tensor:
    """[B, 1, T, 1]."""
    return torch.tensor(rows)[:, None, :, None]


def values(tensor: torch.Tensor) -> list[list[float]]:
    return tensor[:, 0, :, 0].tolist()


def test_update_appends_in_place() -> None:
    layer = PreallocatedLayer(room=4)
    keys, _ = layer.update(states([1.0, 2.0], [3.0, 4.0]), states([5.0, 6.0], [7.0, 8.0]))
    assert values(keys) == [[1, 2], [3, 4]] and layer.get_seq_length() == 2
    address = keys.data_ptr()
    keys, out = layer.update(states([9.0], [10.0]), states([11.0], [12.0]))
    assert values(keys) == [[1, 2, 9], [3, 4, 10]] and values(out) == [[5, 6, 11], [7, 8, 12]]
    assert keys.data_ptr() == address and layer.get_seq_length() == 3


def test_shared_prefix_is_in_every_row() -> None:
    layer = PreallocatedLayer(room=3, shared=(states([1.0, 2.0]), states([3.0, 4.0])))
    assert layer.get_seq_length() == 2
    keys, out = layer.update(states([5.0], [6.0]), states([7.0], [8.0]))
    assert values(keys) == [[1, 2, 5], [1, 2, 6]] and values(out) == [[3, 4, 7], [3, 4, 8]]


def test_rows_can_be_selected() -> None:
    layer = PreallocatedLayer(room=2)
    layer.update(states([1.0], [2.0], [3.0]), states([4.0], [5.0], [6.0]))
    layer.batch_select_indices(torch.tensor([2, 0]))
    keys, out = layer.update(states([7.0], [8.0]), states([9.0], [10.0]))
    assert values(keys) == [[3, 7], [1, 8]] and values(out) == [[6, 9], [4, 10]]


def cache_of(shared: torch.Tensor, rows: torch.Tensor, room: int) -> DynamicCache:
    prefix = DynamicCache()
    prefix.update(shared, shared, 0)
    cache = preallocate(prefix, room)
    cache.update(rows, rows, 0)
    return cache


def test_join_aligns_rows_on_the_right_after_the_prefix() -> None:
    shared = states([1.0])
    short, long = cache_of(shared, states([2.0]), 2), cache_of(shared, states([3.0, 4.0], [5.0, 6.0]), 3)
    joined = join([short, long], prefix=1, length=3, room=4)
    assert joined.get_seq_length() == 3
    assert values(joined.layers[0].keys) == [[1, 0, 2], [1, 3, 4], [1, 5, 6]]
    keys, _ = joined.update(states([7.0], [8.0], [9.0]), states([7.0], [8.0], [9.0]), 0)
    assert values(keys) == [[1, 0, 2, 7], [1, 3, 4, 8], [1, 5, 6, 9]]


def test_preallocate_keeps_other_layers() -> None:
    class Window(DynamicLayer):
        pass

    cache = DynamicCache()
    cache.update(states([1.0]), states([1.0]), 0)
    cache.layers.append(Window())
    made = preallocate(cache, 3)
    assert [type(layer) for layer in made.layers] == [PreallocatedLayer, Window]
    assert made.layers[1] is not cache.layers[1] and cache.get_seq_length() == 1
