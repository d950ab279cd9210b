"""Text encoders (title model, CLIP text tower), vector indexes and residual quantization."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.embedding.approximate_index import ApproximateIndex
    from recbole_llmfashion.embedding.clip_images import ClipTowers
    from recbole_llmfashion.embedding.clip_text import ClipText
    from recbole_llmfashion.embedding.flat_index import FlatIndex
    from recbole_llmfashion.embedding.residual_codes import ResidualCodes
    from recbole_llmfashion.embedding.settings import ClipSettings, TitleSettings
    from recbole_llmfashion.embedding.title_model import TitleModel, train_title_model
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "approximate_index": "ApproximateIndex",
            "clip_images": "ClipTowers",
            "clip_text": "ClipText",
            "flat_index": "FlatIndex",
            "residual_codes": "ResidualCodes",
            "settings": "ClipSettings TitleSettings",
            "title_model": "TitleModel train_title_model",
        },
    )

__all__ = [
    "ApproximateIndex",
    "ClipSettings",
    "ClipText",
    "ClipTowers",
    "FlatIndex",
    "ResidualCodes",
    "TitleModel",
    "TitleSettings",
    "train_title_model",
]
