"""What one dataset teaches: the CLIP tower, the title model, items' codes, and the LLM's adapter.

A stage's inputs are the digests of what it really reads: train rows, valid rows and `.item`, so a test target can
change none of them, and a key of a later stage can change no earlier one. This half does not know which dataset is
asked with it: its own (pipeline.py), or another one (zero_shot.py).
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
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.language_model import LanguageModel
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.texts import DatasetTexts
from recbole_llmfashion.stage_store import StageStore, sha256_arrays, sha256_texts, stage_seed

STEPS = ("backbone", "adapter")  # of `learn`


def has_contrast(pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether (query, title) pairs hold two queries and two titles, the least that a text model can tell apart."""
    return all(len({normalize_text(pair[side]) for pair in pairs}) > 1 for side in (0, 1))


class TrainedModels:
    """What learns from one dataset, each part trained or found when it is first asked for.

    Args:
        config: of LLMFashionRec on that dataset.
        texts: of that dataset.
        store: where its stages lie.

    Attributes:
        report: where the text models come from and, after `learn`, what fine-tuning measured.
    """

    def __init__(self, config: LLMFashionConfig, texts: DatasetTexts, store: StageStore) -> None:
        self.config, self.texts, self.store = config, texts, store
        self.show_progress = bool(config["show_progress"])
        self.report: dict[str, Any] = {"clip": "none: the training log has no two queries with items of two titles"}

    def _seed(self, stage: str) -> int:
        return stage_seed(self.config["seed"], stage)

    @cached_property
    def _pairs(self) -> dict[str, list[tuple[str, str]]]:
        """(query, title) pairs of the training log: `bought` by purchase, `led` by any item action."""
        rows = self.texts.dataset.training_actions
        rows = rows[rows["search"] >= 0]
        pairs = [
            (self.texts.queries[self.texts.log.query_index[search]], self.texts.titles[item])
            for search, item in zip(rows["search"], rows["item"], strict=True)
        ]
        bought = [pair for pair, purchase in zip(pairs, rows["purchase"], strict=True) if purchase]
        return {"bought": bought, "led": pairs}

    @cached_property
    def clip(self) -> ClipText | None:
        """The text tower behind the memory's keys; None where there is nothing to train it on."""
        if self.config["clip_pretrained"]:
            clip = load_clip(self.config["clip_model"], self.config["clip_pretrained"])
        elif has_contrast(self._pairs["led"]):
            pairs, chosen = self._pairs["led"], settings.clip_settings(self.config, self._seed("clip"))
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
            "settings": asdict(chosen),
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
        """The LLM's side: backbone, adapter, generator."""
        return LanguageModel(self.config, self.store)

    @cached_property
    def codes(self) -> ResidualCodes:
        """Centres of the catalogue's title embeddings, which `item_tokens: semantic` names items by."""
        # by the fixed order of items: a catalogue's own may tell time, and the centres' numbers would follow it
        ordered = self.title_matrix[np.argsort(self.texts.tie)]
        folder = self.store.get(
            "codes", {"titles": sha256_arrays(ordered)}, lambda folder: ResidualCodes.train(ordered).save(folder)
        )
        self.codes_key = folder.name
        return ResidualCodes.load(folder)

    def train(self, examples: Sequence[Example], item_tokens: ItemTokens | None, decoder: Any) -> Iterator[str]:
        """The LLM's stages. `backbone` is yielded before one that costs time, `adapter` always; the engine then answers
        as well as is known: with its backbone alone, with its adapter."""
        if self.llm.prepare(examples, item_tokens, decoder):
            yield "backbone"
        self.llm.finetune()
        self.report |= self.llm.report
        yield "adapter"
