"""A demo page: actions of a customer, the prompt and the response of the LLM, and the resulting lists."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.serving.demo.page import Pages
    from recbole_llmfashion.serving.demo.visit import Visit
else:
    __getattr__ = lazy_names(__name__, {"page": "Pages", "visit": "Visit"})

__all__ = ["Pages", "Visit"]
