"""Drawn pictures of simulated products: the outline of their type, a pattern, their color."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.simulate.pictures.draw import Garment, draw_garment
    from recbole_llmfashion.dataset_tools.simulate.pictures.write import garments, write_pictures
else:
    __getattr__ = lazy_names(__name__, {"draw": "Garment draw_garment", "write": "garments write_pictures"})

__all__ = ["Garment", "draw_garment", "garments", "write_pictures"]
