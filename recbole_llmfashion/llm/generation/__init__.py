"""Generation: constrained decoding, sampling, beam search, and a cache of responses."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
    from recbole_llmfashion.llm.generation.generator import Generator, make_generator
    from recbole_llmfashion.llm.generation.item_trie import ItemTrie
    from recbole_llmfashion.llm.generation.response_cache import ResponseCache, generate_responses
    from recbole_llmfashion.llm.generation.sampling import sample
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "decoding_settings": "DecodingSettings",
            "generator": "Generator make_generator",
            "item_trie": "ItemTrie",
            "response_cache": "ResponseCache generate_responses",
            "sampling": "sample",
        },
    )

__all__ = [
    "DecodingSettings",
    "Generator",
    "ItemTrie",
    "ResponseCache",
    "generate_responses",
    "make_generator",
    "sample",
]
