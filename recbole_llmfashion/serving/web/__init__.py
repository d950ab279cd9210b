"""The HTTP service: routes, limits, token, metrics, dynamic batching, log of item changes. Only app.py needs Ray."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.serving.web.item_changes import ItemChangeLog
    from recbole_llmfashion.serving.web.replica import ReplicaWorker
    from recbole_llmfashion.serving.web.routes import make_web
    from recbole_llmfashion.serving.web.settings import ServiceSettings, read_settings
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "item_changes": "ItemChangeLog",
            "replica": "ReplicaWorker",
            "routes": "make_web",
            "settings": "ServiceSettings read_settings",
        },
    )

__all__ = ["ItemChangeLog", "ReplicaWorker", "ServiceSettings", "make_web", "read_settings"]
