"""The commands of `convert` for published logs and sequences, and the options that all of `convert` share."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.cli.converters.published import register_published
    from recbole_llmfashion.cli.converters.sequences import register_sequences
else:
    __getattr__ = lazy_names(__name__, {"published": "register_published", "sequences": "register_sequences"})

__all__ = ["register_published", "register_sequences"]
