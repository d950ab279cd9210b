"""The pages of docs/results: which there are, whether they show today's rows, and what is made of them."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.study.pages.leaderboard import leaderboard_rows
    from recbole_llmfashion.study.pages.listed import Page, read_pages
    from recbole_llmfashion.study.pages.state import page_state, stale_rows
else:
    __getattr__ = lazy_names(
        __name__, {"leaderboard": "leaderboard_rows", "listed": "Page read_pages", "state": "page_state stale_rows"}
    )

__all__ = ["Page", "leaderboard_rows", "page_state", "read_pages", "stale_rows"]
