"""Prompts: a user's timeline as token ids, and responses as items."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.prompt.builder import Prompt, PromptBuilder, PromptSettings
    from recbole_llmfashion.prompt.item_tokens import ItemDecoder, ItemTokens
    from recbole_llmfashion.prompt.memory import MemoryLog, QueryProductMemory
    from recbole_llmfashion.prompt.response import ParsedResponse, Response, parse_response
    from recbole_llmfashion.prompt.texts import DatasetTexts, sanitize
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "builder": "Prompt PromptBuilder PromptSettings",
            "item_tokens": "ItemDecoder ItemTokens",
            "memory": "MemoryLog QueryProductMemory",
            "response": "ParsedResponse Response parse_response",
            "texts": "DatasetTexts sanitize",
        },
    )

__all__ = [
    "DatasetTexts",
    "ItemDecoder",
    "ItemTokens",
    "MemoryLog",
    "ParsedResponse",
    "Prompt",
    "PromptBuilder",
    "PromptSettings",
    "QueryProductMemory",
    "Response",
    "parse_response",
    "sanitize",
]
