"""The LLM's stages: the adapter on a backbone, and generation; a model is loaded only when something needs it.

A run whose responses are all in the store never loads a model.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import stage_root
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import file_sha256, model_files
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.checkpoint import CheckpointFolder
from recbole_llmfashion.llm.finetuning.job import LOSSES, TIMING, BackboneSpec, FinetuneJob
from recbole_llmfashion.llm.finetuning.validation import ValidationRows
from recbole_llmfashion.llm.generation.generator import item_generator
from recbole_llmfashion.llm.generation.response_cache import generate_responses
from recbole_llmfashion.llm.generation.vllm_backend import check_interpreter, vllm_generate
from recbole_llmfashion.llm.modeling.abilities import check_backbone
from recbole_llmfashion.llm.modeling.adapter import load_adapter
from recbole_llmfashion.llm.modeling.backbone import (
    Backbone,
    backbone_identity,
    hub_commit,
    load_tokenizer,
    vocabulary_size,
)
from recbole_llmfashion.llm.modeling.gguf_files import gguf_file, save_dequantized
from recbole_llmfashion.llm.modeling.item_embeddings import read_norm
from recbole_llmfashion.llm.modeling.merge import merge_adapter
from recbole_llmfashion.llm.modeling.seen import read_seen
from recbole_llmfashion.llm.modeling.tiny_falcon import (
    TINY_FALCON,
    TINY_FALCON_FOLDER,
    TINY_FALCON_UNTRAINED,
    UNTRAINED_FROM,
    save_untrained,
)
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.manifest import BACKBONE_FILES
from recbole_llmfashion.prompt.builder import PromptBuilder
from recbole_llmfashion.prompt.item_tokens import ItemTokens
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.stage_store import StageStore, sha256, sha256_arrays, stage_seed
from recbole_llmfashion.tracking import Track, no_track


class LanguageModel:
    """One backbone and its adapter.

    Args:
        config: of LLMFashionRec.
        store: keeps the stages.
        track: gets the numbers of a fine-tuning.

    Attributes:
        identity: name of the model that `generate` uses, adapter included; empty before `prepare`.
        report: what fine-tuning measured.
        source: the backbone, a folder or a hub name; of a GGUF file, the stage with its de-quantized weights.
    """

    def __init__(self, config: LLMFashionConfig, store: StageStore, track: Track = no_track) -> None:
        self.config, self.store, self._track = config, store, track
        self.name = str(config["llm_name_or_path"])
        self.source = self._source()
        self.show_progress = bool(config["show_progress"])
        self.report: dict[str, Any] = {}
        self.identity = ""
        self._adapter: Path | None = None
        self._loaded: tuple[str, Any] | None = None

    @staticmethod
    def validate_config(config: LLMFashionConfig) -> None:
        """Raises UserError where the backbone lacks something, or the Python of `vllm_python` cannot be loaded.

        So do a list of datasets, which the result needs, and a norm of item embeddings that cannot be read.
        """
        if config["generation_backend"] == "vllm":
            check_interpreter(config["vllm_python"])
        name = str(config["llm_name_or_path"])
        if name in (TINY_FALCON, TINY_FALCON_UNTRAINED):
            name = str(TINY_FALCON_FOLDER)
        elif file := gguf_file(name):
            # the stage is made now: what a GGUF file lacks shows when its weights are read
            name = _dequantized(file, StageStore(stage_root(config)))
        check_backbone(name, settings.backbone_needs(config))
        read_seen(name)
        read_norm(name)

    def _source(self) -> str:
        if self.name == TINY_FALCON:
            return str(TINY_FALCON_FOLDER)
        if self.name != TINY_FALCON_UNTRAINED:
            file = gguf_file(self.name)
            return _dequantized(file, self.store) if file else self.name
        seed = self._seed("untrained")
        shape = {name: file_sha256(TINY_FALCON_FOLDER / name) for name in UNTRAINED_FROM}
        inputs = {"seed": seed, "shape": sha256(shape)}
        return str(self.store.get("untrained", inputs, lambda folder: save_untrained(folder, seed)))

    def _seed(self, stage: str) -> int:
        return stage_seed(self.config["seed"], stage)

    def seen(self) -> dict[str, dict[str, str]]:
        """For the result: digest -> name of the datasets that the backbone has seen; nothing if there are none."""
        seen = {one.data_sha256: one.name for one in read_seen(self.source)}
        return {"backbone_seen": seen} if seen else {}

    @cached_property
    def revision(self) -> str | None:
        """The commit of a hub model, which is loaded and which a run folder names; None for a folder."""
        return None if Path(self.source).is_dir() else hub_commit(self.source)

    @cached_property
    def tokenizer(self) -> Any:
        """The backbone's tokenizer."""
        return load_tokenizer(self.source, self.revision)

    @cached_property
    def vocab_size(self) -> int:
        """Size of the backbone's vocabulary; the items' tokens follow it."""
        return vocabulary_size(self.source, self.tokenizer, self.revision)

    def prepare(
        self,
        examples: Sequence[Example],
        index: ItemTokens | None,
        decoder: Any,
        validation: ValidationRows | None = None,
    ) -> bool:
        """Takes the training prompts; True where the store does not hold their adapter yet.

        Args:
            examples: prompts and responses.
            index: the tokens that name items in them; None for their IDs as text.
            decoder: turns generated token ids into text.
            validation: rows that the epochs are compared by; None without early stopping.
        """
        if not examples:
            raise UserError("no training prompt: the training part has no row; add users with three item actions")
        self._examples, self._index, self._decoder, self._validation = examples, index, decoder, validation
        self._loaded = None
        loaded_as = {name: self.config[name] for name in ("quantization", "compute_dtype")}
        backbone = backbone_identity(self.source, self.revision, self.store.digests)
        self.identity = "-".join([backbone, *loaded_as.values()])
        self._finetuning = settings.finetune_settings(self.config, self._seed("adapter"), examples)
        self._adapter_inputs = {
            "backbone": backbone,
            **loaded_as,
            "settings": self._finetuning.stage_inputs(),
            "examples": sha256_arrays(*(array for example in examples for array in example.arrays())),
            "index": None if index is None else [index.key, sha256_arrays(*index.ids, *index.words)],
        }
        if validation is not None:
            self._adapter_inputs["validation"] = sha256_arrays(*validation.arrays())
        return not self.store.has("adapter", self._adapter_inputs)

    def finetune(self) -> None:
        """Fine-tunes the backbone on the prompts of `prepare`, or loads its adapter from the store."""
        self._loaded = None
        made: list[Path] = []

        def build(folder: Path) -> None:
            made.append(folder)
            self._finetune(folder)

        self._adapter = self.store.get("adapter", self._adapter_inputs, build)
        if not made:
            self._track_recorded(self._adapter)
        self.identity = self._adapter.name + ("-vllm" if self._by_vllm else "")
        self.report = _report(self._adapter)
        logged = {name: self.report[name] for name in ("quantized_layers", "perplexity", "format_failures")}
        getLogger(__name__).info(f"adapter: {json.dumps(logged)}")

    def _track_recorded(self, adapter: Path) -> None:
        """Tracks the losses of a fine-tuning that is not run again."""
        losses = adapter / LOSSES
        for step, loss in enumerate(json.loads(losses.read_text()) if losses.is_file() else (), 1):
            self._track(step, {"loss": loss})

    def _backbone(self, index: ItemTokens | None) -> Backbone:
        return self._spec().load(index)

    def _spec(self) -> BackboneSpec:
        source = str(Path(self.source).absolute()) if Path(self.source).is_dir() else self.source
        how = self.config["quantization"], self.config["compute_dtype"], self.config["device"]
        return BackboneSpec(source, *how, revision=self.revision)

    def _finetune(self, folder: Path) -> None:
        files = model_files(Path(self.source)) if self.revision is None else []
        digests = {path.name: self.store.digests.sha256(path) for path in files}
        self._run_job(folder)
        if digests:
            (folder / BACKBONE_FILES).write_text(json.dumps(digests, indent=1), encoding="utf-8")

    def _run_job(self, folder: Path) -> None:
        running = self.store.running("adapter", self._adapter_inputs)
        job = FinetuneJob(
            self._spec(),
            self._examples,
            self._index,
            self._decoder,
            self._finetuning,
            self.config["max_new_tokens"] if settings.loss_on_title(self.config) else None,
            CheckpointFolder(running.absolute(), self.config["save_steps"]),
            self.show_progress,
            self._validation,
            self._track,
        )
        if self.config["num_train_workers"] == 1:
            job.run(folder)
            return
        # imported here: a second of Ray that one process does not need
        from recbole_llmfashion.distributed.finetune_workers import finetune_on_workers

        finetune_on_workers(job, folder.absolute(), self.config["num_train_workers"], self.config["ray_address"])

    @property
    def adapter(self) -> Path:
        """The adapter's folder; set by `finetune`."""
        assert self._adapter is not None
        return self._adapter

    @property
    def _by_vllm(self) -> bool:
        return self.config["generation_backend"] == "vllm"

    def _merged(self) -> Path:
        """A folder of the backbone with the adapter merged into it, which vLLM reads."""
        inputs = {"adapter": self.adapter.name, "compute_dtype": self.config["compute_dtype"]}
        return self.store.get(
            "merged", inputs, lambda folder: merge_adapter(self._backbone(self._index), self.adapter, folder)
        )

    def _load(self, index: ItemTokens | None) -> Any:
        """The backbone with these item tokens, and its adapter where that is trained.

        Items that the adapter was not trained with get embeddings made from their words.
        """
        key = "" if index is None else index.key
        if self._loaded is None or self._loaded[0] != key:
            backbone = self._backbone(index)
            known = self._index is None or key == self._index.key
            model = load_adapter(backbone, self._adapter, rows=known) if self._adapter else backbone.model
            self._loaded = key, model
        return self._loaded[1]

    def generate(self, prompts: Sequence[np.ndarray], builder: PromptBuilder, titles: Sequence[str]) -> list[Response]:
        """Responses to prompts, with the likeliest items where `num_beams` is more than 0.

        Args:
            prompts: token ids.
            builder: wrote the prompts; its items are the ones that a constrained response may name.
            titles: of these items, by position.
        """
        decoding = settings.decoding_settings(self.config, self._seed("responses"))
        if self._by_vllm and self._adapter:
            prefix, python = builder.id_prefix.tolist(), self.config["vllm_python"]
            texts = vllm_generate(
                python, self._merged(), self.tokenizer, decoding, prompts, builder.allowed_ids, prefix
            )
            return [Response(text) for text in texts]
        generator = item_generator(self._load(builder.item_tokens), builder, decoding, titles)
        generator.lm.cuda_graphs = self.config["cuda_graphs"]
        return generate_responses(generator, prompts, self.config["num_beams"], self.show_progress)


def _dequantized(file: Path, store: StageStore) -> str:
    """The stage with the de-quantized weights of a GGUF file."""
    inputs = {"file": store.digests.sha256(file)}
    return str(store.get("gguf", inputs, lambda folder: save_dequantized(file, folder)))


def _report(adapter: Path) -> dict[str, Any]:
    """The measurements of an adapter's stage; earlier versions wrote all of them into one file."""
    report: dict[str, Any] = {}
    for path in (adapter / "finetune.json", adapter / TIMING):
        if path.is_file():
            report |= json.loads(path.read_text(encoding="utf-8"))
    return report
