"""Writes the run folder of an LLMFashionRec row, from which it can be served without its dataset.

    saved/<dataset>/runs/<digest of the manifest>/
        manifest.json         see manifest.py; metrics, digest and rows of the data, seed, versions, licence of the
                              backbone, settings
        local.json            where data and backbone are on this machine; neither signed nor exported
        catalogue.parquet     item_id, title, category, brand, color, size, `attribute:<name>` of each further attribute
                              that prompts show, popularity (training actions), one row per position
        vectors.safetensors   title [N, d]; core [N, d] of the ID model, clip, sentences and image [N, d] and memory
                              [K, d] where the run has them; tokens [N, L], the token ids of each item where items
                              have tokens of their own
        memory.parquet        query, item (position), position, askers: the memory's content, see memory_file.py
        neighbors.safetensors with `ranking: fusion`, users [N] of each item, and the common users of each pair of items
                              that has one: first [N + 1], item and common [pairs]
        encoder.safetensors   with `session_model: SASRec` or `SASRecSampled`, its weights without the item embeddings
        responses.parquet     the responses of the evaluation, by digest of the prompt
        title.faiss, items.faiss, clip.faiss, sentences.faiss, each with a .json: with `ann_index: ivf` or `hnsw`
        codes.faiss           item_tokens: semantic, the quantizer that codes of new items come from
        title/, clip/         the title model; the text tower, where there is one
    and two parts that may be stored elsewhere: `adapter` and `backbone`, stages of the store or a folder of the user's.
    A backbone of the hub is named, not copied. So is a sentence encoder, with the digest of its files.

No training reads it, so it is not a stage. It holds no user ids; it holds queries of the training log, sorted, with the
number of users of each, and digests of the evaluation's prompts. An export leaves out rare queries and the responses
(export/). load.py reads it.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from recbole_llmfashion.config.keys import first_release_names, without_folders
from recbole_llmfashion.embedding.query_title_pairs import normalize_text
from recbole_llmfashion.embedding.sentence.folder import FOLDER
from recbole_llmfashion.files.changes import write_file
from recbole_llmfashion.files.folders import publish_folder, temporary_folder
from recbole_llmfashion.files.write_errors import naming
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON, TINY_FALCON_UNTRAINED
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.inference import Inference
from recbole_llmfashion.pipeline.item_pool import attribute_column
from recbole_llmfashion.pipeline.manifest import LOCAL, MANIFEST, OWN, read_digest, write_manifest
from recbole_llmfashion.pipeline.memory_file import CATALOGUE, ENCODER, MEMORY, NEIGHBORS, memory_frame, note_of_one
from recbole_llmfashion.pipeline.pipeline import Pipeline
from recbole_llmfashion.prompt.memory import MemoryLog
from recbole_llmfashion.retrieval.ranking import RankingSettings
from recbole_llmfashion.stage_store import stage_seed
from recbole_llmfashion.versions import versions


def write_run(
    runs: Path,
    dataset: str,
    pipeline: Pipeline,
    ranking: RankingSettings,
    mask_history: bool,
    about: Mapping[str, Any],
) -> Path:
    """Writes the run folder of a finished pipeline; an equal one that exists is left as it is.

    Args:
        runs: the folder that holds the run folders of a dataset.
        dataset: its name.
        pipeline: after `train` and `answer`.
        ranking: how the lists are joined.
        mask_history: whether the evaluation left what the user took out of the lists.
        about: further entries of the manifest.
    """
    with naming(runs), temporary_folder(runs / "run") as partial:
        about_memory = _write_own(partial, pipeline)
        llm = pipeline.inference.trained.llm
        parts = {OWN: partial, "adapter": llm.adapter}
        if Path(llm.source).is_dir():
            parts["backbone"] = Path(llm.source)
        clip, sentences = pipeline.inference.trained.clip, pipeline.inference.trained.sentences
        content = {
            "model": "LLMFashionRec",
            "dataset": dataset,
            **about,
            "versions": versions(),
            "backbone": {
                "name": without_folders(first_release_names({"llm_name_or_path": llm.name}))["llm_name_or_path"],
                "licence": licence(llm.name if llm.name in (TINY_FALCON, TINY_FALCON_UNTRAINED) else llm.source),
                **({} if llm.revision is None else {"revision": llm.revision}),
            },
            "clip": clip.source if clip else "",
            **({"encoder": {"source": sentences.source, "sha256": sentences.sha256}} if sentences else {}),
            **({"memory": about_memory} if about_memory else {}),
            "settings": _settings(pipeline, ranking) | {"mask_history": mask_history},
        }
        write_manifest(partial, content, parts, runs / "any")
        final = runs / read_digest(partial)[:16]
        local = json.dumps(_local(pipeline, parts), indent=1, ensure_ascii=False)
        (partial / LOCAL).write_text(local, encoding="utf-8")
        if (final / MANIFEST).is_file():
            write_file(final / LOCAL, local)  # the data or the backbone may have moved
        else:
            publish_folder(partial, final, MANIFEST)
        return final


def _write_own(folder: Path, pipeline: Pipeline) -> dict[str, int]:
    """Writes the files of the run folder itself; returns what the manifest says of the memory."""
    inference, about_memory = pipeline.inference, {}
    catalogue, trained = inference.texts.catalogue, inference.trained
    attributes = {attribute_column(name): texts for name, texts in catalogue.attributes.items()}
    frame = pd.DataFrame({"item_id": catalogue.item_ids, "title": catalogue.titles, **attributes})
    frame.assign(popularity=pipeline.popularity).to_parquet(folder / CATALOGUE, index=False)
    vectors = _item_vectors(pipeline)
    if pipeline.id_model is not None and pipeline.id_model.encoder is not None:
        save_file(pipeline.id_model.encoder.weights, str(folder / ENCODER))
    if trained.clip is not None:
        trained.clip.save(folder / "clip")
    if inference.item_tokens is not None:
        vectors["tokens"] = np.stack(inference.item_tokens.ids)
    if inference.config["item_tokens"] == "semantic":
        trained.codes.save(folder)
    if inference.memory is not None:
        vectors["memory"] = inference.memory.key_vectors
        about_memory = _write_memory(inference, folder / MEMORY)
    save_file(vectors, str(folder / "vectors.safetensors"))
    if pipeline.common_users is not None:
        save_file(pipeline.common_users.arrays(), str(folder / NEIGHBORS))
    for name, index in inference.indexes.items():
        for suffix in (".faiss", ".json"):
            shutil.copyfile(index / f"{name}{suffix}", folder / f"{name}{suffix}")
    trained.title_model.save(folder / "title")
    inference.response_cache.save(folder)
    return about_memory


def _item_vectors(pipeline: Pipeline) -> dict[str, np.ndarray]:
    """The vectors of the items by name, each [N, d]."""
    inference, ranking = pipeline.inference, pipeline.config["ranking"]
    titles, clip = inference.texts.titles, inference.trained.clip
    vectors = {"title": inference.title_matrix}
    if pipeline.id_model is not None:
        vectors["core"] = np.ascontiguousarray(pipeline.id_model.table, np.float32)
    if clip is not None and ranking == "clip":
        vectors["clip"] = clip.encode(titles)
    if ranking == "fusion" and inference.titles_encode is not None:
        vectors["sentences"] = inference.titles_encode(titles)
    if pipeline.image_vectors is not None:
        vectors["image"] = pipeline.image_vectors
    return vectors


def _write_memory(inference: Inference, path: Path) -> dict[str, int]:
    """Writes memory.parquet; returns the least number of users of a query, and how many queries are in and left out."""
    queries, searched = inference.texts.queries, inference.searched_products()
    log = inference.memory_log(searched)
    frame = memory_frame(queries, log.query, log.item, log.position, inference.askers(log))
    frame.to_parquet(path, index=False)

    def keys(log: MemoryLog) -> int:
        return len({normalize_text(queries[query]) for query in np.unique(log.query)})

    kept = keys(log)
    if note := note_of_one(frame):
        getLogger(__name__).info(note)
    return {"min_askers": inference.config["min_askers"], "queries": kept, "left_out": keys(searched) - kept}


def _settings(pipeline: Pipeline, ranking: RankingSettings) -> dict[str, Any]:
    """Everything that decides an answer and a list, as the plain arguments of what reads it."""
    config, inference = pipeline.config, pipeline.inference
    return {
        "template": config["prompt_template"],
        "prompt": asdict(inference.builder.settings),
        "items": _naming(inference),
        "memory": {
            "neighbors": config["memory_neighbors"],
            "products": config["memory_products"],
            "depth": config["memory_list_size"],
        },
        "backbone": {"quantization": config["quantization"], "compute_dtype": config["compute_dtype"]},
        "decoding": settings.decoding_settings(config, stage_seed(config["seed"], "responses")).stage_inputs(),
        "beams": config["num_beams"],
        "mixing": asdict(ranking),
        **_session_model(pipeline),
        **({} if pipeline.knn_history is None else {"neighbors": {"history": pipeline.knn_history}}),
        **({} if config["ann_index"] == "flat" else {"index": config["ann_index"]}),
    }


def _session_model(pipeline: Pipeline) -> dict[str, Any]:
    """The ID model's name and the settings of its encoder; CORE, the paper's, is not named."""
    if pipeline.config["session_model"] == "CORE" or pipeline.id_model is None or pipeline.id_model.encoder is None:
        return {}
    encoder = pipeline.id_model.encoder
    return {"session_model": {"name": pipeline.config["session_model"], **asdict(encoder.settings)}}


def _naming(inference: Inference) -> dict[str, Any]:
    """What names items to the LLM, and whether its adapter holds rows of these items' tokens."""
    kind, tokens = inference.config["item_tokens"], inference.item_tokens
    if tokens is None:
        return {"kind": kind}
    made_of = json.loads((inference.trained.llm.adapter / "stage.json").read_text(encoding="utf-8"))["inputs"]["index"]
    trained = made_of is not None and made_of[0] == tokens.key
    return {"kind": kind, "first": tokens.first, "new_tokens": tokens.new_tokens, "key": tokens.key, "trained": trained}


def _local(pipeline: Pipeline, parts: Mapping[str, Path]) -> dict[str, Any]:
    """Absolute paths of this machine: the data's folder, those of text encoders, and the parts elsewhere."""
    config = pipeline.config
    sentences = str(config["memory_encoder"])
    clip, elsewhere = str(config["clip_pretrained"]), {name: part for name, part in parts.items() if name != OWN}
    return {
        "data_path": str(Path(config["data_path"]).absolute().parent),  # RecBole adds the dataset's name to the key
        **({"clip_pretrained": str(Path(clip).absolute())} if clip and Path(clip).is_file() else {}),
        **({"memory_encoder": str(Path(sentences).absolute())} if _is_folder(pipeline) else {}),
        "parts": {name: str(part.absolute()) for name, part in elsewhere.items()},
    }


def _is_folder(pipeline: Pipeline) -> bool:
    encoder = pipeline.inference.trained.sentences
    return encoder is not None and encoder.source.startswith(FOLDER)


def licence(name: str) -> str:
    """Under which terms a backbone may be passed on, as far as this machine can know.

    Args:
        name: `tiny-falcon`, `tiny-falcon-untrained`, a folder, or a name of the hub.
    """
    if name in (TINY_FALCON, TINY_FALCON_UNTRAINED):
        return "MIT, part of this package, not trained on this dataset"
    folder = Path(name)
    if not folder.is_dir():
        return f"see https://huggingface.co/{name}"
    card = folder / "README.md"
    for line in card.read_text(encoding="utf-8", errors="replace").splitlines() if card.is_file() else ():
        if line.startswith("license:"):
            return line.removeprefix("license:").strip()
    return "unknown: its folder has no README.md that names a license"
