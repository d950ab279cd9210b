"""Recommendations from a trained run: in Python, over HTTP, as a demo page and in batches. Trains nothing."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.serving.messages import Recommendation
    from recbole_llmfashion.serving.recommender import Explanation, Recommender
    from recbole_llmfashion.serving.session import Session, make_session, read_actions
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "messages": "Recommendation",
            "recommender": "Explanation Recommender",
            "session": "Session make_session read_actions",
        },
    )

__all__ = ["Explanation", "Recommendation", "Recommender", "Session", "make_session", "read_actions"]
