"""CLIP text towers: a pretrained one of open_clip, or a small one trained on the (query, title) pairs of a log.

`ClipText.source` names the origin of the weights. A tower whose weights cannot be loaded is an error; there is no tower
with random weights.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

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
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.stage_store import sha256_arrays

LOG_TOWER = "trained on the log"
_MANIFEST = "clip.json"
CACHED_WORDS = 50_000  # words of texts that open_clip's tokenizer keeps
_ACTIVATIONS = {True: "QuickGELU", False: "GELU"}


class _Tower(Protocol):
    """A text tower: an encoder that can be saved."""

    source: str
    width: int

    def embed(self, texts: Sequence[str]) -> Tensor:
        """b >= 1 texts -> [b, width] vectors, not normalized."""

    def save(self, folder: Path) -> None:
        """Write the files that `ClipText.load` reads."""


class ClipText:
    """Encodes texts into unit vectors; create it with `load_clip`, `train_clip` or `ClipText.load`.

    Args:
        tower: the text tower.
    """

    def __init__(self, tower: _Tower) -> None:
        self._tower = tower

    @property
    def source(self) -> str:
        """`pretrained:<model>/<tag>`, `checkpoint:<model>/<file name>` or `trained on the log`."""
        return self._tower.source

    def encode(self, texts: Sequence[str], batch_size: int = 256, show_progress: bool = False) -> np.ndarray:
        """n texts -> [n, d] float32 unit rows; each distinct text is encoded once."""

        def unit(batch: list[str]) -> Tensor:
            return normalize(self._tower.embed(batch).float(), dim=1)

        return encode_distinct(texts, unit, self._tower.width, batch_size, show_progress, "CLIP embeddings")

    def save(self, folder: Path) -> None:
        """Write a trained tower's weights (safetensors and JSON), or the name of a pretrained tower."""
        folder.mkdir(parents=True, exist_ok=True)
        self._tower.save(folder)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", checkpoint: str | None = None) -> "ClipText":
        """Load a tower written by `save`.

        Args:
            folder: written by `save`.
            device: torch device.
            checkpoint: path of the checkpoint file, where the tower's weights are one.

        Raises:
            UserError: a pretrained tower cannot be loaded, or has other weights than the saved one.
        """
        manifest = parse_json((folder / _MANIFEST).read_text(encoding="utf-8"))
        if "model_name" in manifest:
            return _load_pretrained(manifest, folder, device, checkpoint)
        tower = _LogTower(ClipSettings(**manifest["settings"]), TextTokenizer.load(folder / "pieces.json"), device)
        tower.network.load_state_dict(load_file(folder / "weights.safetensors", device=device))
        return cls(tower)


def forget_words(tokenizer: Any, special: Mapping[str, str]) -> None:
    """Bounds the cache of open_clip's own tokenizer, which otherwise keeps each word that anybody searches for.

    Args:
        tokenizer: of open_clip; those of transformers have no such cache.
        special: the entries of the cache that the tokenizer begins with.
    """
    words = getattr(tokenizer, "cache", None)
    if words is not None and len(words) > CACHED_WORDS:
        words.clear()
        words.update(special)


class _OpenClipTower:
    """The text tower of a pretrained CLIP model."""

    def __init__(self, model_name: str, pretrained: str, device: str) -> None:
        tagged = open_clip.is_pretrained_cfg(model_name, pretrained)
        name = pretrained if tagged else Path(pretrained).name
        self.source = f"{'pretrained' if tagged else 'checkpoint'}:{model_name}/{name}"
        self._names = {"model_name": model_name, "pretrained": name}
        self._device = device
        model = open_clip.create_model(model_name, pretrained=pretrained, require_pretrained=True)
        # the image tower is not used and takes most of the memory
        del model.visual
        self._model = model.to(device).eval()
        self._tokenize = open_clip.get_tokenizer(model_name)
        self._special = dict(getattr(self._tokenize, "cache", {}))
        with torch.inference_mode():
            self.width = self.embed(["text"]).shape[1]

    def embed(self, texts: Sequence[str]) -> Tensor:
        ids = self._tokenize(list(texts)).to(self._device)
        forget_words(self._tokenize, self._special)
        return self._model.encode_text(ids)

    def weights_sha256(self) -> str:
        """Digest of all weights, which neither a tag nor the name of a file settles."""
        tensors = sorted(self._model.state_dict().items())
        return sha256_arrays(*(tensor.detach().cpu().float().numpy() for _, tensor in tensors))

    def save(self, folder: Path) -> None:
        manifest = {**self._names, "weights": self.weights_sha256()}
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


class _LogTower:
    """open_clip's TextTransformer at a size that a few thousand searches can train."""

    source = LOG_TOWER

    def __init__(self, settings: ClipSettings, tokenizer: TextTokenizer, device: str) -> None:
        self._settings = settings
        self._tokenizer = tokenizer
        self._device = device
        self.width = settings.embed_dim
        self.network = TextTransformer(
            context_length=settings.context_length,
            # pool_type argmax pools at the highest id, which is the end token
            vocab_size=tokenizer.size + 1,
            width=settings.width,
            heads=settings.heads,
            layers=settings.layers,
            output_dim=settings.embed_dim,
            pool_type="argmax",
            # the causal mask has the full context length, so every text would have to be padded to it
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


def check_clip(model_name: str, pretrained: str) -> None:
    """Checks the names of a pretrained text tower without loading it.

    The text tower must have the activation that the weights of a tag were trained with. open_clip builds the model all
    the same and only warns; the vectors are then wrong. A text tower of transformers has its own activation, and a
    checkpoint file does not say which one it needs.

    Args:
        model_name, pretrained: see `load_clip`.

    Raises:
        UserError: unknown model; neither a tag of it nor a file; a tag whose weights need another activation.
    """
    models = open_clip.list_models()
    if model_name not in models:
        hint = did_you_mean(model_name, models, "open_clip.list_models() lists them")
        raise UserError(f"clip_model: '{model_name}' is not a model of open_clip; {hint}")
    if not open_clip.is_pretrained_cfg(model_name, pretrained):
        if Path(pretrained).is_file():
            return
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model_name)) or "none"
        raise UserError(
            f"clip_pretrained: '{pretrained}' is neither a file nor a tag of {model_name}, whose tags are: {tags}"
        )
    model = open_clip.get_model_config(model_name)
    needs = bool(open_clip.get_pretrained_cfg(model_name, pretrained).get("quick_gelu", False))
    if needs == bool(model.get("quick_gelu", False)) or "hf_model_name" in model["text_cfg"]:
        return
    raise UserError(
        f"clip_model: the weights '{pretrained}' of {model_name} were trained with {_ACTIVATIONS[needs]}, and this "
        f"model has {_ACTIVATIONS[not needs]}; {_other_model(model_name, pretrained, needs)}"
    )


def _other_model(model_name: str, pretrained: str, quick_gelu: bool) -> str:
    """What to do where a tag's weights need another activation than the model's."""
    other = f"{model_name}-quickgelu" if quick_gelu else model_name.removesuffix("-quickgelu")
    if other in open_clip.list_models() and open_clip.is_pretrained_cfg(other, pretrained):
        return f"set clip_model: {other}"
    return "set another clip_pretrained"


def _load_pretrained(names: Mapping[str, str], folder: Path, device: str, checkpoint: str | None) -> ClipText:
    tagged = open_clip.is_pretrained_cfg(names["model_name"], names["pretrained"])
    clip = load_clip(names["model_name"], names["pretrained"] if tagged else checkpoint or names["pretrained"], device)
    tower = clip._tower
    # manifests of earlier versions have no digest
    if isinstance(tower, _OpenClipTower) and names.get("weights", found := tower.weights_sha256()) != found:
        raise UserError(f"{folder}: {clip.source} has other weights than those of the run; restore them")
    return clip


def load_clip(model_name: str, pretrained: str, device: str = "cpu") -> ClipText:
    """Load a pretrained text tower.

    Args:
        model_name: model of open_clip, such as ViT-B-32.
        pretrained: a tag of that model, which is downloaded, or the path of a checkpoint file.
        device: torch device.

    Raises:
        UserError: as `check_clip`; a checkpoint of another model, or a failed download.
    """
    check_clip(model_name, pretrained)
    try:
        return ClipText(_OpenClipTower(model_name, pretrained, device))
    except Exception as error:  # open_clip, its hub client and torch each raise their own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"CLIP weights {model_name}/{pretrained} could not be loaded ({reason}); name a checkpoint file, "
            "or none to train a small tower on the log"
        ) from error


def train_clip(pairs: Sequence[tuple[str, str]], settings: ClipSettings, show_progress: bool = True) -> ClipText:
    """Train a small tower for queries and titles by symmetric InfoNCE (Radford et al. 2021, arXiv 2103.00020).

    Args:
        pairs: (query, item title) pairs of the training log.
        settings: of the tower and its training.
        show_progress: whether to show a progress bar.

    Raises:
        UserError: fewer than two distinct pairs, queries or titles.
    """
    table = PairTable.from_pairs(pairs)
    if len(table.positive_keys) < 2 or len(table.queries) < 2 or len(table.titles) < 2:
        raise UserError(
            f"CLIP tower: expected at least two (query, title) pairs with different queries and titles in the training "
            f"log, found {len(table.positive_keys)} distinct pairs; add users or searches, or set clip_pretrained"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        tokenizer = TextTokenizer.train([*table.queries, *table.titles], settings.vocab_size)
        tower = _LogTower(settings, tokenizer, "cpu")
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
