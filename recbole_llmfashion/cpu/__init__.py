"""What a CPU needs of us that a GPU does not: memory that is kept or left, and faster dropout."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.cpu.allocator import keep_freed_memory, return_freed_memory
    from recbole_llmfashion.cpu.dropout import fast_dropout
    from recbole_llmfashion.cpu.memory import free_memory
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "allocator": "keep_freed_memory return_freed_memory",
            "dropout": "fast_dropout",
            "memory": "free_memory",
        },
    )

__all__ = ["fast_dropout", "free_memory", "keep_freed_memory", "return_freed_memory"]
