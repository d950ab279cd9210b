"""The pieces of prompts and responses as token ids; each text is tokenized once, and the prompt builder joins them."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.prompt.pieces.actions import ActionPieces
    from recbole_llmfashion.prompt.pieces.cells import CellTokenizer
    from recbole_llmfashion.prompt.pieces.items import ItemPieces, TextLimits
    from recbole_llmfashion.prompt.pieces.queries import QueryPieces
    from recbole_llmfashion.prompt.pieces.ragged import Ragged
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "actions": "ActionPieces",
            "cells": "CellTokenizer",
            "items": "ItemPieces TextLimits",
            "queries": "QueryPieces",
            "ragged": "Ragged",
        },
    )

__all__ = ["ActionPieces", "CellTokenizer", "ItemPieces", "QueryPieces", "Ragged", "TextLimits"]
