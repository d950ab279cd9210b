"""The models that train on one dataset: the CLIP tower, the title model, the items' codes, and the LLM's adapter.

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
from recbole_llmfashion.embedding.title_model import TitleModel, derive_pairs, train_title_model
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.validation import ValidationRows
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.stage_store import StageStore, sha256_arrays, sha256_texts, stage_seed


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

    Attributes:
        report: origin of the text models and, after `train`, what fine-tuning measured.
    """

    def __init__(self, config: LLMFashionConfig, texts: DatasetTexts, store: StageStore) -> None:
        self.config, self.texts, self.store = config, texts, store
        self.show_progress = bool(config["show_progress"])
        self.report: dict[str, Any] = {"clip": "none: the training log has no two queries with items of two titles"}

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

    @cached_property
    def clip(self) -> ClipText | None:
        """The text tower that embeds the memory's keys; None without training pairs."""
        if self.config["clip_pretrained"]:
            clip = load_clip(str(self.config["clip_model"]), str(self.config["clip_pretrained"]))
        elif has_contrast(self._pairs["acted"]):
            pairs, chosen = self._pairs["acted"], settings.clip_settings(self.config, self._seed("clip"))
            inputs = {"settings": asdict(chosen), "pairs": sha256_texts(text for pair in pairs for text in pair)}
            folder = self.store.get(
                "clip", inputs, lambda folder: train_clip(pairs, chosen, self.show_progress).save(folder)
            )
            clip = ClipText.load(folder)
        else:
            return None
        self.report["clip"] = clip.source
        getLogger(__name__).info(f"query-product memory: CLIP text tower {clip.source}")
        return clip

    @cached_property
    def title_model(self) -> TitleModel:
        """The LSTM over titles and queries."""
        titles = self.texts.titles
        pairs, kind = self._pairs["bought"], "queries"
        if not has_contrast(pairs):
            texts = [(title, self.texts.catalogue.attribute_text(i)) for i, title in enumerate(titles)]
            pairs, kind = derive_pairs(texts, self._seed("title_pairs")), "derived"
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
        return LanguageModel(self.config, self.store)

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
