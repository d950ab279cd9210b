"""The LLM's stages: tokenizer, embedded backbone, adapter, generator, each loaded only when something needs it.

A run whose responses are all in the store never loads a model. The engine does not know items; it is given examples
and the token sequences that the constraint allows.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np

from recbole_llmfashion import settings
from recbole_llmfashion.config import LLMFashionConfig
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.backbone import Backbone, load_backbone, load_tokenizer
from recbole_llmfashion.llm.embedded import new_embedded, save_embedded, train_tokenizer
from recbole_llmfashion.llm.examples import Example
from recbole_llmfashion.llm.finetune import CheckpointFolder, FinetuneLog, finetune, load_adapter, save_adapter
from recbole_llmfashion.llm.generate import DecodingSettings, Generator, make_generator
from recbole_llmfashion.llm.merge import merge_adapter
from recbole_llmfashion.llm.pretrain import pretrain
from recbole_llmfashion.llm.vllm_backend import check_interpreter, vllm_generate
from recbole_llmfashion.prompt.response import parse_response
from recbole_llmfashion.stages import StageStore, sha256, sha256_arrays, sha256_texts, stage_seed

EMBEDDED = "embedded"
PROBE_PROMPTS = 64


class Engine:
    """One backbone and its adapter.

    Args:
        config: of LLMFashionRec.
        store: where stages lie.
        tokenizer_texts: what an embedded tokenizer is trained on.

    Attributes:
        identity: names what `generate` answers with, adapter included; empty before `pretrain`.
        report: what fine-tuning measured.
    """

    def __init__(self, config: LLMFashionConfig, store: StageStore, tokenizer_texts: Callable[[], list[str]]) -> None:
        self.config, self.store, self._texts = config, store, tokenizer_texts
        self.name = str(config["llm_name_or_path"])
        self.show_progress = bool(config["show_progress"])
        self.report: dict[str, Any] = {}
        self.identity = ""
        self._adapter: Path | None = None
        self._loaded: tuple[Any, Any] | None = None

    @staticmethod
    def check(config: LLMFashionConfig) -> None:
        """Raises UserError where the backbone's tokenizer, or vLLM's Python where that is asked for, cannot be had."""
        if config["generation_backend"] == "vllm":
            check_interpreter(config["vllm_python"])
        if config["llm_name_or_path"] != EMBEDDED:
            load_tokenizer(str(config["llm_name_or_path"]))

    def _seed(self, stage: str) -> int:
        return stage_seed(self.config["seed"], stage)

    @cached_property
    def _tokenizer_folder(self) -> Path:
        texts, size = self._texts(), int(self.config["embedded_vocab_size"])
        inputs = {"texts": sha256_texts(texts), "vocab_size": size}
        return self.store.get(
            "tokenizer", inputs, lambda folder: train_tokenizer(texts, size).save_pretrained(str(folder))
        )

    @cached_property
    def tokenizer(self) -> Any:
        """The backbone's tokenizer."""
        return load_tokenizer(str(self._tokenizer_folder) if self.name == EMBEDDED else self.name)

    def prepare(self, examples: Sequence[Example]) -> bool:
        """Takes the training prompts; True where the backbone is an embedded one that is yet to be pre-trained."""
        if not examples:
            raise UserError("no training prompt: the training part has no row; add users with three item actions")
        self._examples = examples
        self._digest = sha256_arrays(*(array for example in examples for array in (example.prompt, example.response)))
        if self.name != EMBEDDED:
            return False
        self._pretraining = settings.pretrain_settings(self.config, self._seed("embedded"))
        self._embedded_inputs = {
            "tokenizer": self._tokenizer_folder.name,
            "shape": self._shape(),
            "settings": asdict(self._pretraining),
            "examples": self._digest,
        }
        return not self.store.has("embedded", self._embedded_inputs)

    def pretrain(self) -> bool:
        """Settles the backbone, pre-training the embedded one if need be; True where its adapter is yet to be made."""
        embedded = self.name == EMBEDDED
        self._source = str(self.store.get("embedded", self._embedded_inputs, self._pretrain)) if embedded else self.name
        self.identity = _identity(self._source)
        self._finetuning = settings.finetune_settings(self.config, self._seed("adapter"))
        self._adapter_inputs = {
            "backbone": self.identity,
            "quantization": self.config["quantization"],
            "compute_dtype": self.config["compute_dtype"],
            "settings": asdict(self._finetuning),
            "examples": self._digest,
        }
        return not self.store.has("adapter", self._adapter_inputs)

    def finetune(self) -> None:
        """Fine-tunes the backbone that `pretrain` settled, or finds its adapter in the store."""
        self._loaded = None
        self._adapter = self.store.get("adapter", self._adapter_inputs, self._finetune)
        self.identity = self._adapter.name + ("-vllm" if self._by_vllm else "")
        self.report = json.loads((self._adapter / "finetune.json").read_text())
        shown = {name: self.report[name] for name in ("quantized_layers", "perplexity", "format_failures")}
        getLogger(__name__).info(f"adapter: {json.dumps(shown)}")

    def _shape(self) -> dict[str, int]:
        return {key: self.config[f"embedded_{key}"] for key in ("width", "layers", "heads")}

    def _pretrain(self, folder: Path) -> None:
        chosen = self._pretraining
        model = new_embedded(len(self.tokenizer), **self._shape(), seed=chosen.seed).to(self.config["device"])
        log = pretrain(model, self._examples, chosen, self.show_progress)
        save_embedded(model, self.tokenizer, folder)
        (folder / "pretrain.json").write_text(json.dumps(log, indent=1))

    def _backbone(self) -> Backbone:
        return load_backbone(
            self._source, self.config["quantization"], self.config["compute_dtype"], self.config["device"]
        )

    def _finetune(self, folder: Path) -> None:
        backbone, examples, chosen = self._backbone(), self._examples, self._finetuning
        pick = np.linspace(0, len(examples) - 1, min(PROBE_PROMPTS, len(examples))).astype(int)
        prompts = [examples[i].prompt for i in pick]
        sampling = DecodingSettings(
            decoding="sample", max_new_tokens=self.config["max_new_tokens"], batch_size=32, seed=chosen.seed
        )

        def format_failures(model: Any) -> float:
            responses = Generator(model, backbone.tokenizer, sampling)(prompts)
            return float(np.mean([not parse_response(text).well_formed for text in responses]))

        running = self.store.running("adapter", self._adapter_inputs)
        kept = CheckpointFolder(running, self.config["checkpoint_steps"])
        log: FinetuneLog = finetune(backbone, examples, chosen, self.show_progress, format_failures, kept)
        save_adapter(log.model, folder)
        report = {"quantized_layers": backbone.quantized_layers, "prompts": len(examples), **log.summary()}
        losses = report.pop("losses")
        (folder / "finetune.json").write_text(json.dumps(report, indent=1))
        (folder / "losses.json").write_text(json.dumps(losses))

    @property
    def source(self) -> str:
        """The backbone: a folder, or a name of the hub; known after `pretrain`."""
        return self._source

    @property
    def adapter(self) -> Path:
        """The adapter's folder; known after `finetune`."""
        assert self._adapter is not None
        return self._adapter

    @property
    def _by_vllm(self) -> bool:
        return self.config["generation_backend"] == "vllm"

    def _merged(self) -> Path:
        """The backbone with its adapter in it, as a folder that vLLM reads."""
        inputs = {"adapter": self.adapter.name, "compute_dtype": self.config["compute_dtype"]}
        return self.store.get("merged", inputs, lambda folder: merge_adapter(self._backbone(), self.adapter, folder))

    def _load(self) -> tuple[Any, Any]:
        """The model that answers, with its adapter where that is trained, and the tokenizer."""
        if self._loaded is None:
            backbone = self._backbone()
            model = load_adapter(backbone, self._adapter) if self._adapter else backbone.model
            self._loaded = model, backbone.tokenizer
        return self._loaded

    def generate(
        self,
        prompts: Sequence[np.ndarray],
        spoken: Sequence[Sequence[int]],
        prefix: Sequence[int],
        titles: Sequence[str] | None = None,
    ) -> list[str]:
        """Responses as text.

        Args:
            prompts: token ids.
            spoken: what the constraint allows, an item's id tokens and the separator after them.
            prefix: the tokens before the id, forced when the decoding is constrained.
            titles: of the items, which `title_source: lookup` alone reads.
        """
        chosen = settings.decoding_settings(self.config, self._seed("responses"))
        if self._by_vllm and self._adapter:
            python = self.config["vllm_python"]
            return vllm_generate(python, self._merged(), self.tokenizer, chosen, prompts, spoken, prefix)
        return make_generator(*self._load(), chosen, spoken, prefix, titles)(prompts, self.show_progress)


_JOURNALS = ("stage.json", "pretrain.json")  # what a stage tells of its making, seconds included


def _identity(source: str) -> str:
    """What tells one backbone from another: a hub name, or a digest of a folder's files."""
    folder = Path(source)
    if not folder.is_dir():
        return source
    parts = []
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix in (".json", ".safetensors", ".bin", ".model") and file.name not in _JOURNALS:
            with file.open("rb") as stream:  # the first MiB: a 7B folder is 14 GB, its weights differ from the start
                head = hashlib.sha256(stream.read(1 << 20)).hexdigest()
            parts.append([file.name, file.stat().st_size, head])
    return sha256(parts)
