"""CLIP text towers: a pretrained one of open_clip, or a small one trained on a log; the one home of open_clip.

Knows texts and (query, title) pairs only. A tower with random weights is never handed out: what cannot be loaded is an
error, and what was trained on the log says so in `source`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import open_clip
import torch
from open_clip.transformer import TextTransformer
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize, pad

from recbole_llmfashion.embedding.encode import encode_distinct
from recbole_llmfashion.embedding.info_nce import fit_contrastive
from recbole_llmfashion.embedding.query_title_pairs import PairTable
from recbole_llmfashion.embedding.settings import ClipSettings
from recbole_llmfashion.embedding.word_pieces import TextTokenizer
from recbole_llmfashion.errors import UserError, did_you_mean

_MANIFEST = "clip.json"


class _Tower(Protocol):
    """Texts to vectors, and the way back from disk."""

    source: str
    width: int

    def embed(self, texts: Sequence[str]) -> Tensor:
        """b >= 1 texts to [b, width], of any length."""

    def save(self, folder: Path) -> None:
        """Write what `ClipText.load` needs."""


class ClipText:
    """Texts to unit vectors; made by `load_clip`, `train_clip` or `ClipText.load`.

    Args:
        tower: the text tower.
    """

    def __init__(self, tower: _Tower) -> None:
        self._tower = tower

    @property
    def source(self) -> str:
        """`pretrained:<model>/<tag>`, `checkpoint:<model>/<path>` or `trained on the log`."""
        return self._tower.source

    def encode(self, texts: Sequence[str], batch_size: int = 256, show_progress: bool = False) -> np.ndarray:
        """[n, d] float32 unit rows; each distinct text is computed once."""

        def unit(batch: list[str]) -> Tensor:
            return normalize(self._tower.embed(batch).float(), dim=1)

        return encode_distinct(texts, unit, self._tower.width, batch_size, show_progress, "CLIP embeddings")

    def save(self, folder: Path) -> None:
        """Write a trained tower's weights (safetensors, JSON), or the name of a pretrained one."""
        folder.mkdir(parents=True, exist_ok=True)
        self._tower.save(folder)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "ClipText":
        """Read what `save` wrote."""
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if "model_name" in manifest:
            return load_clip(manifest["model_name"], manifest["pretrained"], device)
        tower = _LogTower(ClipSettings(**manifest["settings"]), TextTokenizer.load(folder / "pieces.json"), device)
        tower.network.load_state_dict(load_file(folder / "weights.safetensors", device=device))
        return cls(tower)


class _OpenClipTower:
    """The text side of a pretrained CLIP."""

    def __init__(self, model_name: str, pretrained: str, device: str) -> None:
        tagged = pretrained in open_clip.list_pretrained_tags_by_model(model_name)
        self.source = f"{'pretrained' if tagged else 'checkpoint'}:{model_name}/{pretrained}"
        self._names = {"model_name": model_name, "pretrained": pretrained}
        self._device = device
        model = open_clip.create_model(model_name, pretrained=pretrained, require_pretrained=True)
        # the image tower is most of the memory and nobody asks it anything
        del model.visual
        self._model = model.to(device).eval()
        self._tokenize = open_clip.get_tokenizer(model_name)
        with torch.inference_mode():
            self.width = self.embed(["text"]).shape[1]

    def embed(self, texts: Sequence[str]) -> Tensor:
        return self._model.encode_text(self._tokenize(list(texts)).to(self._device))

    def save(self, folder: Path) -> None:
        (folder / _MANIFEST).write_text(json.dumps(self._names, indent=1), encoding="utf-8")


class _LogTower:
    """open_clip's TextTransformer at a size that a log of some thousand searches can train."""

    source = "trained on the log"

    def __init__(self, settings: ClipSettings, tokenizer: TextTokenizer, device: str) -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._device = device
        self.width = settings.embed_dim
        self.network = TextTransformer(
            context_length=settings.context_length,
            # the end mark has the highest id, where pool_type argmax looks for it
            vocab_size=tokenizer.size + 1,
            width=settings.width,
            heads=settings.heads,
            layers=settings.layers,
            output_dim=settings.embed_dim,
            pool_type="argmax",
            # a causal mask is made for the full length and not cut, which would pad every query to it
            no_causal_mask=True,
            use_pad_mask=True,
        ).to(device)

    def embed(self, texts: Sequence[str]) -> Tensor:
        pieces = self._tokenizer.encode(texts, self._settings.context_length - 1)
        ids = pad(pieces, (0, 1))
        ids[torch.arange(len(texts)), (pieces != 0).sum(dim=1)] = self._tokenizer.size
        return self.network(ids.to(self._device))

    def save(self, folder: Path) -> None:
        manifest = {"settings": asdict(self._settings)}
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        self._tokenizer.save(folder / "pieces.json")
        save_file(self.network.state_dict(), folder / "weights.safetensors")


def load_clip(model_name: str, pretrained: str, device: str = "cpu") -> ClipText:
    """A pretrained text tower.

    Args:
        model_name: of open_clip, such as ViT-B-32.
        pretrained: a tag of that model, fetched from its hub, or the path of a local checkpoint file.

    Raises:
        UserError: no such model or tag, a checkpoint that does not fit, a hub that cannot be reached.
    """
    models = open_clip.list_models()
    if model_name not in models:
        hint = did_you_mean(model_name, models, "open_clip.list_models() lists them")
        raise UserError(f"CLIP model '{model_name}' is not one of open_clip's; {hint}")
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    if pretrained not in tags and not Path(pretrained).is_file():
        hint = did_you_mean(pretrained, tags)
        raise UserError(f"CLIP weights '{pretrained}' are neither a file nor a tag of {model_name}; {hint}")
    try:
        return ClipText(_OpenClipTower(model_name, pretrained, device))
    except Exception as error:  # open_clip, its hub client and torch each raise their own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"CLIP weights {model_name}/{pretrained} could not be loaded ({reason}); name a checkpoint file, "
            "or none to train a small tower on the log"
        ) from error


def train_clip(
    pairs: Sequence[tuple[str, str]], settings: ClipSettings, show_progress: bool = True, device: str = "cpu"
) -> ClipText:
    """Train a small tower, one for both sides, by symmetric InfoNCE (Radford et al. 2021, arXiv 2103.00020).

    Args:
        pairs: (query, item title) of the training log.

    Raises:
        UserError: fewer than two pairs, or pairs that never differ.
    """
    table = PairTable.from_pairs(pairs)
    if len(table.positive_keys) < 2 or len(table.queries) < 2 or len(table.titles) < 2:
        raise UserError(
            f"CLIP tower: {len(table.positive_keys)} distinct (query, title) pairs in the training log, two of "
            "different queries and titles are the least; give it more users or searches, or name pretrained weights"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        tokenizer = TextTokenizer.train([*table.queries, *table.titles], settings.vocab_size)
        tower = _LogTower(settings, tokenizer, device)
    fit_contrastive(
        network=tower.network,
        embed=tower.embed,
        table=table,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        temperature=settings.temperature,
        seed=settings.seed,
        show_progress=show_progress,
    )
    return ClipText(tower)
