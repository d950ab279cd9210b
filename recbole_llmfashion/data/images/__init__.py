"""The pictures of a dataset: one file with a vector and a small copy for each item that has one."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.data.images.image_file import ItemImages, images_path, item_images
else:
    __getattr__ = lazy_names(__name__, {"image_file": "ItemImages images_path item_images"})

__all__ = ["ItemImages", "images_path", "item_images"]
