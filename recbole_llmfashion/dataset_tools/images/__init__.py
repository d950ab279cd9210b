"""Pictures of items: what their pixels say, and labels by a CLIP model."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.dataset_tools.images.colors import dominant_colors
    from recbole_llmfashion.dataset_tools.images.describe import DescribedFolder, ImageTowers, describe_images
    from recbole_llmfashion.dataset_tools.images.pictures import Picture, read_picture
    from recbole_llmfashion.dataset_tools.images.pixel_vectors import pixel_vector
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "colors": "dominant_colors",
            "describe": "DescribedFolder ImageTowers describe_images",
            "pictures": "Picture read_picture",
            "pixel_vectors": "pixel_vector",
        },
    )

__all__ = [
    "DescribedFolder",
    "ImageTowers",
    "Picture",
    "describe_images",
    "dominant_colors",
    "pixel_vector",
    "read_picture",
]
