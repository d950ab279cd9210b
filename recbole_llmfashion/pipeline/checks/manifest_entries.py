"""Checks of manifest.json: every entry that loading or serving reads."""

from dataclasses import fields
from typing import Any, get_args

from recbole_llmfashion.embedding.approximate_index import KINDS
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.modeling.backbone import ComputeDtype, Quantization
from recbole_llmfashion.pipeline.checks.entries import Entries, refuse
from recbole_llmfashion.pipeline.manifest import MANIFEST, Manifest
from recbole_llmfashion.prompt.builder import PromptSettings
from recbole_llmfashion.prompt.item_tokens import ItemTokensName
from recbole_llmfashion.prompt.template import TEMPLATES
from recbole_llmfashion.retrieval.fusion import TAKEN
from recbole_llmfashion.retrieval.lists.sequence_list import ACTIVATIONS
from recbole_llmfashion.retrieval.ranking import FUSED, GROUPS, RankingSettings

_ITEMS: dict[str, Any] = {"kind": str, "first": int, "new_tokens": int, "key": str, "trained": bool}


def check_manifest(manifest: Manifest) -> None:
    """Types, words and ranges of every entry that loading or serving reads.

    Raises:
        UserError: names the entry.
    """
    top = Entries(manifest.folder / MANIFEST, manifest.content)
    for name, kind in {"model": str, "dataset": str, "clip": str, "seed": int}.items():
        top.get(name, kind)
    for name, value in top.inside("metrics").value.items():
        top.inside("metrics").get(name, float if value is not None else object)
    for name in top.inside("versions").value:
        top.inside("versions").get(name, str)
    top.inside("backbone").exactly({"name": str, "licence": str, "revision": str}, frozenset({"revision"}))
    if "encoder" in top.value:
        top.inside("encoder").exactly({"source": str, "sha256": str})
    for name in {"keys", "data"} & top.value.keys():
        top.inside(name)
    if "memory" in top.value:
        top.inside("memory").exactly({"min_askers": int, "queries": int, "left_out": int})
    for name in ("run", "adapter"):
        if name not in top.inside("parts").value:
            refuse(top.path, f"lacks an entry (the part {name})")
    _check_settings(top.inside("settings"))


def _check_settings(settings: Entries) -> None:
    tables = ("template", "prompt", "items", "memory", "backbone", "decoding", "beams", "mixing", "mask_history")
    optional = frozenset({"index", "neighbors", "session_model"})
    settings.exactly(dict.fromkeys((*tables, *optional), object), optional)
    if "session_model" in settings.value:
        session = settings.inside("session_model")
        types = {"name": str, "heads": int, "activation": str, "eps": float, "cosine": bool}
        session.exactly(types, frozenset({"cosine"}))
        session.one_of("activation", tuple(ACTIVATIONS))
    if "neighbors" in settings.value:
        settings.inside("neighbors").exactly({"history": int})
    settings.one_of("template", tuple(TEMPLATES))
    if "index" in settings.value:
        settings.one_of("index", KINDS)
    settings.get("beams", int)
    settings.get("mask_history", bool)
    settings.inside("prompt").fields_of(PromptSettings)
    items = settings.inside("items")
    items.exactly(_ITEMS if items.one_of("kind", get_args(ItemTokensName)) != "text" else {"kind": str})
    settings.inside("memory").exactly({"neighbors": int, "products": int, "depth": int})
    backbone = settings.inside("backbone")
    words = {"quantization": get_args(Quantization), "compute_dtype": get_args(ComputeDtype)}
    backbone.exactly(dict.fromkeys(words, str))
    for name, known in words.items():
        backbone.one_of(name, known)
    _check_decoding(settings.inside("decoding"))
    mixing = settings.inside("mixing")
    mixing.fields_of(RankingSettings)
    _check_weights(mixing.inside("weights"), mixing.value["ranking"] == "fusion")


def _check_decoding(decoding: Entries) -> None:
    kinds = {field.name: field.type for field in fields(DecodingSettings) if field.name != "response_title"}
    decoding.exactly({**kinds, "title_source": str})
    decoding.one_of("title_source", ("generate", "lookup"))
    temperature, top_p = decoding.value["temperature"], decoding.value["top_p"]
    if temperature <= 0 or not 0 < top_p <= 1:
        refuse(decoding.path, f"settings.decoding: temperature {temperature} or top_p {top_p} is out of range")


def _check_weights(weights: Entries, needed: bool) -> None:
    for group in GROUPS if needed or weights.value else ():
        for name in weights.inside(group).value:
            if name not in FUSED or (weights.inside(group).get(name, float) < 0 and name != TAKEN):
                refuse(weights.path, f"settings.mixing.weights.{group}.{name} is unknown or negative")
