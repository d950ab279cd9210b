"""A run on a page: what a customer does, what the LLM is asked and says, and the lists that come of it."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.serving.demo.page import Pages
    from recbole_llmfashion.serving.demo.visit import Visit
else:
    __getattr__ = lazy_names(__name__, {"page": "Pages", "visit": "Visit"})

__all__ = ["Pages", "Visit"]
