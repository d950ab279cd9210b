"""What makes PyTorch faster on a CPU: the use of freed memory, and dropout."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.cpu.allocator import keep_freed_memory, return_freed_memory
    from recbole_llmfashion.cpu.dropout import fast_dropout
else:
    __getattr__ = lazy_names(
        __name__, {"allocator": "keep_freed_memory return_freed_memory", "dropout": "fast_dropout"}
    )

__all__ = ["fast_dropout", "keep_freed_memory", "return_freed_memory"]
