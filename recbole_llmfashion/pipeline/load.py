"""Reads a run folder (save.py): its files as plain objects, its models loaded, nothing unpickled.

While a run is served only its items change; they are in `pool`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file

from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES, Catalogue
from recbole_llmfashion.data.images import ItemImages, item_images
from recbole_llmfashion.embedding import approximate_index
from recbole_llmfashion.embedding.approximate_index import IndexKind
from recbole_llmfashion.embedding.clip_text import LOG_TOWER, ClipText
from recbole_llmfashion.embedding.residual_codes import ResidualCodes
from recbole_llmfashion.embedding.sentence.encoder import SentenceEncoder
from recbole_llmfashion.embedding.title_model import TitleModel
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.modeling.adapter import causal_lm, load_adapter, row_layers
from recbole_llmfashion.llm.modeling.backbone import Backbone, load_backbone, load_tokenizer
from recbole_llmfashion.llm.modeling.item_embeddings import add_item_tokens
from recbole_llmfashion.pipeline.checks.entries import reading
from recbole_llmfashion.pipeline.checks.files import (
    check_adapter,
    check_backbone,
    check_finite,
    check_responses,
    check_vectors,
    check_width,
    read_catalogue,
)
from recbole_llmfashion.pipeline.checks.manifest_entries import check_manifest
from recbole_llmfashion.pipeline.item_pool import ItemPool, attribute_column
from recbole_llmfashion.pipeline.manifest import OWN, Manifest, read_manifest
from recbole_llmfashion.pipeline.memory_file import CATALOGUE, ENCODER, NEIGHBORS, RESPONSES
from recbole_llmfashion.pipeline.saved_memory import SavedMemory, load_memory, load_sentences
from recbole_llmfashion.prompt.builder import PromptBuilder, PromptSettings, make_builder
from recbole_llmfashion.prompt.item_tokens import ItemTokens, item_words
from recbole_llmfashion.prompt.memory import QueryProductMemory
from recbole_llmfashion.retrieval.lists.common_users import CommonUsers
from recbole_llmfashion.retrieval.lists.cosine_table import Near, Search
from recbole_llmfashion.retrieval.lists.neighbor_list import NeighborList
from recbole_llmfashion.retrieval.lists.sequence_list import EncoderSettings, SequenceEncoder, SequenceList
from recbole_llmfashion.retrieval.rankers import Encoders
from recbole_llmfashion.retrieval.ranking import RankingSettings
from recbole_llmfashion.versions import versions


@dataclass(frozen=True)
class LoadedRun:
    """A run folder in memory.

    Args:
        manifest: of the folder.
        pool: the items it was trained with.
        model, tokenizer: the LLM with its item tokens and its adapter; the model is None where it was not loaded.
        item_tokens: the tokens of the items of `pool`; None for their IDs as text.
        row_norm: length of the item tokens' embeddings; 0 without item tokens.
        codes: quantizer for the codes of new items; None unless `item_tokens: semantic`.
        title_model, clip, memory: clip and memory are None where the run has none.
        sentences: the sentence encoder of the memory and of a title list; None where CLIP is the memory's.
        template, prompt, decoding, ranking_settings: how prompts are written, responses decoded and lists joined.
        num_beams: likeliest items per response; 0 for none.
        mask_history: whether items that the customer took before are left out of the list.
        responses: the folder with the responses of the evaluation and with the approximate indexes.
        ann_index: kind of these indexes.
        neighbors: the neighbors' list of the items of `pool`; None where the run has none.
        encoder: of the ID model; None where the lists use its embeddings alone.
    """

    manifest: Manifest
    pool: ItemPool
    model: Any
    tokenizer: Any
    item_tokens: ItemTokens | None
    row_norm: float
    codes: ResidualCodes | None
    title_model: TitleModel
    clip: ClipText | None
    memory: SavedMemory | None
    template: str
    prompt: PromptSettings
    decoding: DecodingSettings
    ranking_settings: RankingSettings
    num_beams: int
    mask_history: bool
    responses: Path
    ann_index: IndexKind = "flat"
    neighbors: NeighborList | None = None
    encoder: SequenceEncoder | None = None
    sentences: SentenceEncoder | None = None

    @cached_property
    def images(self) -> ItemImages | None:
        """The pictures beside the run's dataset; None where it has none, or is not on this machine."""
        folder, name = self.manifest.local.get("data_path"), str(self.manifest.content["dataset"])
        if not folder or Path(name).name != name:
            return None
        try:
            return item_images(Path(folder) / name, name)
        except UserError as error:
            getLogger(__name__).warning(f"no pictures are shown: {error}")
            return None

    @property
    def encoders(self) -> Encoders:
        """The text models of the pool's vectors."""
        clip, sentences = self.clip, self.sentences
        return Encoders(
            self.title_model.encode,
            None if clip is None else clip.encode,
            None if sentences is None else sentences.encode,
        )

    def near(self, name: str) -> Near:
        """The index of one of the run's own tables, as the evaluation used it."""

        def search(vectors: np.ndarray) -> Search | None:
            if not approximate_index.pays_off(vectors, self.ann_index):
                return None
            return approximate_index.load(vectors, self.ann_index, self.responses, name)

        return search


def load_run(folder: Path, model: bool = True, min_askers: int = 1) -> LoadedRun:
    """Reads a run folder, exported or not.

    Args:
        model: whether to load the LLM; writing prompts needs its tokenizer only.
        min_askers: the memory leaves out queries of fewer users, and the neighbors' list pairs of items of fewer; with
            1, lists are those of the evaluation.

    Raises:
        UserError: the folder is not a run folder of LLMFashionRec, or a file of it is missing or broken.
    """
    manifest = read_manifest(folder)
    if manifest.content.get("model") != "LLMFashionRec":
        raise UserError(f"{folder}: a run of {manifest.content.get('model')}; only LLMFashionRec can be served")
    check_manifest(manifest)
    _warn_of_versions(manifest)
    with reading(folder):
        return _load(manifest, model, min_askers)


def _warn_of_versions(manifest: Manifest) -> None:
    """Warns of other library versions, which may move the last bits of a score."""
    now, then = versions(), manifest.content["versions"]
    other = [f"{name} {then[name]} (here {now.get(name)})" for name in then if now.get(name) != then[name]]
    if other:
        getLogger(__name__).warning(f"{manifest.folder}: made with {', '.join(other)}; lists may differ at ties")


def _load(manifest: Manifest, wanted: bool, min_askers: int) -> LoadedRun:
    settings, (name, revision) = manifest.content["settings"], manifest.backbone
    own = manifest.file(OWN, CATALOGUE).parent
    frame = read_catalogue(own / CATALOGUE, settings["prompt"]["attributes"])
    path = manifest.file(OWN, "vectors.safetensors")
    with reading(path):
        vectors = load_file(str(path))
    check_vectors(path, vectors, len(frame), settings)
    if manifest.lists(OWN, RESPONSES):
        check_responses(manifest.file(OWN, RESPONSES), len(frame))
    adapter = manifest.file("adapter", "adapter_config.json").parent
    manifest.file("adapter", "adapter_model.safetensors")
    check_adapter(adapter)
    check_backbone(manifest)
    if manifest.part("backbone") is not None:
        manifest.check_no_other_model_files("backbone")
    backbone = load_backbone(name, **settings["backbone"], revision=revision) if wanted else None
    tokenizer = load_tokenizer(name, revision) if backbone is None else backbone.tokenizer
    prompt = PromptSettings(**{**settings["prompt"], "attributes": tuple(settings["prompt"]["attributes"])})
    pool = _pool(frame, vectors, prompt.attributes)
    item_tokens = _item_tokens(tokenizer, pool, vectors, settings["items"], prompt.attributes)
    row_norm = 0.0 if item_tokens is None or backbone is None else add_item_tokens(backbone, item_tokens)
    model = _with_adapter(backbone, adapter, settings["items"].get("trained", False)) if backbone else None
    title_model, clip, sentences = _title_model(manifest, vectors), _clip(manifest), load_sentences(manifest)
    return LoadedRun(
        manifest=manifest,
        pool=pool,
        model=model,
        tokenizer=tokenizer,
        item_tokens=item_tokens,
        row_norm=row_norm,
        codes=_codes(manifest, vectors) if settings["items"]["kind"] == "semantic" else None,
        title_model=title_model,
        clip=clip,
        memory=load_memory(manifest, vectors, settings["memory"], min_askers, sentences or clip),
        template=settings["template"],
        prompt=prompt,
        decoding=DecodingSettings.from_stage_inputs(settings["decoding"]),
        ranking_settings=RankingSettings(**settings["mixing"]),
        num_beams=settings["beams"],
        mask_history=settings["mask_history"],
        responses=own,
        ann_index=settings.get("index", "flat"),
        neighbors=_neighbors(manifest, pool, settings, min_askers),
        encoder=_encoder(manifest, pool, settings),
        sentences=sentences,
    )


def _with_adapter(backbone: Backbone, adapter: Path, trained: bool) -> Any:
    """The backbone with the adapter; embeddings are checked, as a prompt reads some of their rows only."""
    with reading(adapter):
        model = load_adapter(backbone, adapter, rows=trained)
    for module in row_layers(causal_lm(model)).values():
        check_finite(Path(backbone.name), module)
    return model


def _title_model(manifest: Manifest, vectors: Mapping[str, np.ndarray]) -> TitleModel:
    folder = manifest.file(OWN, "title/weights.safetensors").parent
    for name in ("settings.json", "pieces.json"):
        manifest.file(OWN, f"title/{name}")
    with reading(folder):
        model = TitleModel.load(folder)
        check_finite(folder, model.network)
        check_width(folder, model.encode(["boots"]), vectors["title"])
    return model


def _clip(manifest: Manifest) -> ClipText | None:
    if not manifest.content["clip"]:
        return None
    path = manifest.file(OWN, "clip/clip.json")
    if manifest.content["clip"] == LOG_TOWER:
        for name in ("pieces.json", "weights.safetensors"):
            manifest.file(OWN, f"clip/{name}")
    with reading(path.parent):
        clip = ClipText.load(path.parent, checkpoint=manifest.local.get("clip_pretrained"))
        check_width(path.parent, clip.encode(["boots"]), None)
    return clip


def _codes(manifest: Manifest, vectors: Mapping[str, np.ndarray]) -> ResidualCodes:
    path = manifest.file(OWN, "codes.faiss")
    with reading(path):
        codes = ResidualCodes.load(path.parent)
        codes.encode(vectors["title"][:1])
    return codes


def _pool(frame: pd.DataFrame, vectors: Mapping[str, np.ndarray], shown: Sequence[str]) -> ItemPool:
    names = list(dict.fromkeys((*TEXT_ATTRIBUTES, *shown)))
    items = frame[["item_id", "title", *map(attribute_column, names)]].set_axis(["item_id", "title", *names], axis=1)
    return ItemPool(
        catalogue=Catalogue.from_frame(items, shown),
        live=np.ones(len(frame), bool),
        popularity=frame["popularity"].to_numpy(),
        title=vectors["title"],
        core=vectors.get("core"),
        clip=vectors.get("clip"),
        sentences=vectors.get("sentences"),
        image=vectors.get("image"),
    )


def _item_tokens(
    tokenizer: Any,
    pool: ItemPool,
    vectors: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    attributes: Sequence[str],
) -> ItemTokens | None:
    """The run's tokens as stored: a code that is computed again may differ on another machine."""
    if settings["kind"] == "text":
        return None
    words = item_words(tokenizer, pool.titles, pool.catalogue.attributes, attributes)
    return ItemTokens(list(vectors["tokens"]), settings["first"], settings["new_tokens"], words, settings["key"])


def _encoder(manifest: Manifest, pool: ItemPool, settings: Mapping[str, Any]) -> SequenceEncoder | None:
    if "session_model" not in settings:
        return None
    path = manifest.file(OWN, ENCODER)
    fields = {name: value for name, value in settings["session_model"].items() if name != "name"}
    with reading(path):
        weights = load_file(path)
        if pool.core is None or not all(np.isfinite(weight).all() for weight in weights.values()):
            raise ValueError("expected finite weights, and item embeddings in vectors.safetensors")
        encoder = SequenceEncoder(weights, EncoderSettings(**fields))
        ranks = SequenceList(encoder, pool.core, np.arange(len(pool.catalogue)))
        ranks(torch.zeros((1, 1), dtype=torch.int64)).top(1)  # shapes that do not fit are found here
    return encoder


def _neighbors(manifest: Manifest, pool: ItemPool, settings: Mapping[str, Any], min_users: int) -> NeighborList | None:
    if "neighbors" not in settings:
        return None
    path, items = manifest.file(OWN, NEIGHBORS), len(pool.catalogue)
    with reading(path):
        counts = CommonUsers.from_arrays(load_file(path))
        if len(counts.users) != items:
            raise ValueError(f"expected {items} items, found {len(counts.users)}")
    cosines, history = counts.at_least(min_users).cosines(), settings["neighbors"]["history"]
    return NeighborList(cosines, pool.catalogue.tie_rank, history)


def run_builder(run: LoadedRun, pool: ItemPool, item_tokens: ItemTokens | None) -> PromptBuilder:
    """Writes prompts about the items of a pool, as the run's own prompts were written; without searches."""
    return make_builder(run.tokenizer, run.template, pool.catalogue, run.prompt, item_tokens)


def run_memory(run: LoadedRun, pool: ItemPool, tie: np.ndarray) -> QueryProductMemory | None:
    """The run's memory of the pool's live items; None where no product is left."""
    encoder = run.sentences or run.clip
    if run.memory is None or encoder is None:
        return None
    return run.memory.of(encoder.encode, tie, pool.live)
