"""Simulated customers: users, their intents, sessions and queries."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.simulate.customers.intents import Intent, IntentSource
    from recbole_llmfashion.dataset_tools.simulate.customers.journeys import JourneyRequest, Journeys
    from recbole_llmfashion.dataset_tools.simulate.customers.session import ShoppingSession
    from recbole_llmfashion.dataset_tools.simulate.customers.users import Users, make_users
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "intents": "Intent IntentSource",
            "journeys": "JourneyRequest Journeys",
            "session": "ShoppingSession",
            "users": "Users make_users",
        },
    )

__all__ = ["Intent", "IntentSource", "JourneyRequest", "Journeys", "ShoppingSession", "Users", "make_users"]
