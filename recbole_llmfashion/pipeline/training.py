"""The models of one dataset: the text encoders, the title model, the items' codes, and the LLM's adapter.

The inputs of a stage are the digests of what it reads: train rows, valid rows and `.item`. So no test target changes a
stage, and no key of a later stage changes an earlier one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from logging import getLogger
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.embedding.clip_text import ClipText, load_clip, train_clip
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.embedding.residual_codes import ResidualCodes
from recbole_llmfashion.embedding.sentence.encoder import SentenceEncoder, load_encoder
from recbole_llmfashion.embedding.sentence.vectors import staged_vectors
from recbole_llmfashion.embedding.title_model import TitleModel, derive_pairs, train_title_model
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.validation import ValidationRows
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.stage_store import StageStore, sha256_arrays, sha256_texts, stage_seed
from recbole_llmfashion.tracking import Track, no_track, under

CLIP = "clip"  # of the keys memory_encoder and text_encoder


def has_contrast(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether (query, title) pairs hold at least two queries and two titles, the minimum for a contrastive loss.

    >>> has_contrast([("boots", "Red boots"), ("bag", "Blue bag")]), has_contrast([("a", "x"), ("A ", "y")])
    (True, False)
    """
    return all(len({normalize_text(pair[side]) for pair in pairs}) > 1 for side in (0, 1))


class TrainedModels:
    """The models of one dataset; each is trained, or loaded from its stage, when it is first used.

    Args:
        config: of LLMFashionRec on that dataset.
        texts: of that dataset.
        store: keeps its stages.
        track: gets the numbers of the LLM's fine-tuning.

    Attributes:
        report: origin of the text models and, after `train`, what fine-tuning measured.
    """

    def __init__(
        self, config: LLMFashionConfig, texts: DatasetTexts, store: StageStore, track: Track = no_track
    ) -> None:
        self.config, self.texts, self.store, self._track = config, texts, store, track
        self.show_progress = bool(config["show_progress"])
        clip = "none: the training log has no two queries with items of two titles" if self.reads_clip else "not used"
        self.report: dict[str, Any] = {"clip": clip}

    def _seed(self, stage: str) -> int:
        return stage_seed(self.config["seed"], stage)

    @cached_property
    def _pairs(self) -> dict[str, list[tuple[str, str]]]:
        """(query, title) pairs of the training log: `bought` by purchase, `acted` by any item action."""
        rows = self.texts.dataset.training_actions
        rows = rows[rows["search"] >= 0]
        pairs = [
            (self.texts.queries[self.texts.log.query_index[search]], self.texts.titles[item])
            for search, item in zip(rows["search"], rows["item"], strict=True)
        ]
        bought = [pair for pair, purchase in zip(pairs, rows["purchase"], strict=True) if purchase]
        return {"bought": bought, "acted": pairs}

    @property
    def reads_clip(self) -> bool:
        """Whether the memory or the ranking reads the CLIP tower."""
        in_memory = self.config["memory_encoder"] == CLIP and self.config["memory_products"] > 0
        return in_memory or self.config["ranking"] == "clip"

    @cached_property
    def clip(self) -> ClipText | None:
        """The CLIP text tower; None without training pairs, or where nothing reads it."""
        clip = self._clip(self._pairs["acted"]) if self.reads_clip else None
        if clip is not None:
            self.report["clip"] = clip.source
            getLogger(__name__).info(f"query-product memory: CLIP text tower {clip.source}")
        return clip

    def _clip(self, pairs: Sequence[tuple[str, str]]) -> ClipText | None:
        """The pretrained CLIP tower, or one that is trained on pairs; None where they have no contrast."""
        if self.config["clip_pretrained"]:
            return load_clip(str(self.config["clip_model"]), str(self.config["clip_pretrained"]))
        if not has_contrast(pairs):
            return None
        chosen = settings.clip_settings(self.config, self._seed("clip"))
        inputs = {"settings": asdict(chosen), "pairs": sha256_texts(text for pair in pairs for text in pair)}
        folder = self.store.get(
            "clip", inputs, lambda folder: train_clip(pairs, chosen, self.show_progress).save(folder)
        )
        return ClipText.load(folder)

    @cached_property
    def sentences(self) -> SentenceEncoder | None:
        """The sentence encoder of the key `memory_encoder`; None with `clip`."""
        if self.config["memory_encoder"] == CLIP:
            return None
        encoder = load_encoder(str(self.config["memory_encoder"]), "memory_encoder")
        self.report["memory_encoder"] = encoder.source
        getLogger(__name__).info(f"query-product memory: sentence encoder {encoder.source}")
        return encoder

    def text_vectors(self, encoder: str) -> np.ndarray:
        """[N, d] float32 unit rows, the titles by the encoder of the key `text_encoder`.

        With `clip` and no pretrained tower, a log without queries trains the tower on the derived pairs.

        Args:
            encoder: as for `load_encoder`, or `clip`.

        Raises:
            UserError: the items have no two titles with words that differ.
        """
        titles = self.texts.titles
        if encoder != CLIP:
            found = load_encoder(encoder, "text_encoder")
            self.report["text_encoder"] = found.source
            return staged_vectors(found, titles, self.store, self.show_progress)
        clip = self._clip(self._pairs["acted"]) or self._clip(self._derived_pairs)
        if clip is None:
            raise UserError("text_encoder: the items have no two different titles to train a text tower on")
        self.report["text_encoder"] = clip.source
        return clip.encode(titles, show_progress=self.show_progress)

    @cached_property
    def _derived_pairs(self) -> list[tuple[str, str]]:
        """(half of the words of an item's texts, its title) where no query led to a title."""
        texts = [(title, self.texts.attribute_text(i)) for i, title in enumerate(self.texts.titles)]
        return derive_pairs(texts, self._seed("title_pairs"))

    @cached_property
    def title_model(self) -> TitleModel:
        """The LSTM over titles and queries."""
        titles = self.texts.titles
        pairs, kind = self._pairs["bought"], "queries"
        if not has_contrast(pairs):
            pairs, kind = self._derived_pairs, "derived"
        self.report["title_pairs"] = kind
        chosen = settings.title_settings(self.config, self._seed("title"))
        inputs = {
            "settings": chosen.stage_inputs(),
            "pairs": sha256_texts(text for pair in pairs for text in pair),
            "catalogue": sha256_texts(titles),
        }
        folder = self.store.get(
            "title", inputs, lambda folder: train_title_model(pairs, titles, chosen, self.show_progress).save(folder)
        )
        return TitleModel.load(folder)

    @cached_property
    def title_matrix(self) -> np.ndarray:
        """[N, d] float32, the titles' embeddings by catalogue position."""
        return self.title_model.encode(self.texts.titles, show_progress=self.show_progress)

    @cached_property
    def llm(self) -> LanguageModel:
        """The LLM: backbone, adapter, generator."""
        return LanguageModel(self.config, self.store, under(self._track, "finetuning"))

    @cached_property
    def codes(self) -> ResidualCodes:
        """The residual quantizer of title embeddings that `item_tokens: semantic` takes its codes from."""
        # in the fixed order of items: the catalogue's order may follow time, and the codes' numbers would follow it
        ordered = self.title_matrix[np.argsort(self.texts.tie)]
        folder = self.store.get(
            "codes", {"titles": sha256_arrays(ordered)}, lambda folder: ResidualCodes.train(ordered).save(folder)
        )
        self.codes_key = folder.name
        return ResidualCodes.load(folder)

    def train(
        self,
        examples: Sequence[Example],
        item_tokens: ItemTokens | None,
        decoder: Any,
        validation: ValidationRows | None,
    ) -> Iterator[str]:
        """The LLM's stages: yields `backbone` before an adapter that must be trained, and `adapter` when it is ready.

        At each yield the LLM generates with what it has: the backbone alone, then the adapter.
        """
        if self.llm.prepare(examples, item_tokens, decoder, validation):
            yield "backbone"
        self.llm.finetune()
        self.report |= self.llm.report
        yield "adapter"
