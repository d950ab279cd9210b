"""Both towers of a pretrained CLIP model of open_clip: pictures and texts to unit vectors of one space."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import open_clip
import torch
from torch import Tensor
from torch.nn.functional import normalize

from recbole_llmfashion.embedding.clip_text import check_clip
from recbole_llmfashion.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image


class ClipTowers:
    """Encodes pictures and texts.

    Args:
        model_name: model of open_clip, such as ViT-B-32.
        pretrained: a tag of that model, or the path of a checkpoint file.
        device: torch device.

    Attributes:
        source: `pretrained:<model>/<tag>` or `checkpoint:<model>/<file name>`.
        scale: of the model's logits.
    """

    def __init__(self, model_name: str, pretrained: str, device: str = "cpu") -> None:
        tagged = open_clip.is_pretrained_cfg(model_name, pretrained)
        name = pretrained if tagged else Path(pretrained).name
        self.source = f"{'pretrained' if tagged else 'checkpoint'}:{model_name}/{name}"
        model, _, self._preprocess = open_clip.create_model_and_transforms(
            model_name, pretrained=pretrained, require_pretrained=True
        )
        self._model = model.to(device).eval()
        self._tokenize = open_clip.get_tokenizer(model_name)
        self._device = device
        self.scale = float(self._model.logit_scale.exp())

    def encode_images(self, images: "Sequence[Image]") -> np.ndarray:
        """n RGB pictures -> [n, d] float32 unit rows."""
        pixels = torch.stack([self._preprocess(image) for image in images]).to(self._device)
        with torch.inference_mode():
            return _unit(self._model.encode_image(pixels))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """n texts -> [n, d] float32 unit rows."""
        with torch.inference_mode():
            return _unit(self._model.encode_text(self._tokenize(list(texts)).to(self._device)))


def _unit(vectors: Tensor) -> np.ndarray:
    return normalize(vectors.float(), dim=1).cpu().numpy()


def load_towers(model_name: str, pretrained: str) -> ClipTowers:
    """Loads both towers of a pretrained model, on a GPU where there is one.

    Args:
        model_name, pretrained: as for `ClipTowers`; a tag is downloaded.

    Raises:
        UserError: unknown model; neither a tag of it nor a file; a checkpoint of another model, or a failed download.
    """
    check_clip(model_name, pretrained)
    try:
        return ClipTowers(model_name, pretrained, "cuda" if torch.cuda.is_available() else "cpu")
    except Exception as error:  # open_clip, its hub client and torch each raise their own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"CLIP weights {model_name}/{pretrained} could not be loaded ({reason}); name a checkpoint file with "
            "--clip_pretrained, or leave it out for what the pixels say"
        ) from error
