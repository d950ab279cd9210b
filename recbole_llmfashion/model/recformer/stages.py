"""The stages of Recformer in the stage store.

    recformer_tokenizer -> recformer_pretrain -> recformer_stage1 -> recformer_stage2 | recformer_items

The inputs of a stage are digests of its initial weights and of the token ids it reads. They depend neither on test
targets nor on the name of the class: on a dataset without searches Recformer and RecformerQuery share all stages.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.loaders import Loaders, rows_of
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.modeling.backbone import pick_compute_dtype
from recbole_llmfashion.model.recformer.encoder import (
    WEIGHTS,
    Encoder,
    load_encoder,
    load_longformer,
    new_encoder,
    new_head,
)
from recbole_llmfashion.model.recformer.examples import Examples
from recbole_llmfashion.model.recformer.finetune import train_stage
from recbole_llmfashion.model.recformer.flatten import SequenceShape, TokenRows, flatten
from recbole_llmfashion.model.recformer.model import QUERY, Recformer
from recbole_llmfashion.model.recformer.pretrain import Masking, pretrain
from recbole_llmfashion.model.recformer.scorer import Scorer
from recbole_llmfashion.model.recformer.settings import (
    StageSettings,
    pretrain_settings,
    recformer_settings,
    stage_settings,
)
from recbole_llmfashion.model.recformer.vocabulary import Vocabulary
from recbole_llmfashion.stage_store import StageStore, sha256_arrays, sha256_texts, stage_seed
from recbole_llmfashion.tracking import Track, no_track, under

EMBEDDED = "embedded"
OnScore = Callable[[int, float], None]


@dataclass(frozen=True)
class TrainedRecformer:
    """The vocabulary and encoder of the source dataset, for zero-shot evaluation on a target dataset."""

    vocabulary: Vocabulary
    encoder: Encoder


class RecformerPipeline:
    """Runs the stages of one run and sets the model's scorer.

    Args:
        config: of Recformer or RecformerQuery.
        loaders: the rows of the dataset.
        store: the stage store.
        model: the model whose histories are read and whose scorer is set.
        source: trained on a source dataset; if given, nothing is trained on this dataset.
        track: gets the numbers of both stages of fine-tuning.

    Attributes:
        report: measurements of the stages.
    """

    def __init__(
        self,
        config: LLMFashionConfig,
        loaders: Loaders,
        store: StageStore,
        model: Recformer,
        source: TrainedRecformer | None = None,
        track: Track = no_track,
    ) -> None:
        self.config, self.loaders, self.store, self.model, self.source = config, loaders, store, model, source
        self._track = track
        self.name = str(config["recformer_name_or_path"])
        self.settings = recformer_settings(config)
        self.show_progress = bool(config["show_progress"])
        self.report: dict[str, Any] = {}

    def _seed(self, stage: str) -> int:
        return stage_seed(self.config["seed"], stage)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The source dataset's, the backbone's, or a new one trained on item texts and training queries."""
        if self.source is not None:
            return self.source.vocabulary
        if self.name != EMBEDDED:
            return Vocabulary.load(self.name)
        texts, size = self._tokenizer_texts(), self.settings.vocab_size
        folder = self.store.get(
            "recformer_tokenizer",
            {"texts": sha256_texts(texts), "vocab_size": size},
            lambda folder: Vocabulary.train(texts, size).save(folder),
        )
        return Vocabulary.load(str(folder))

    def _tokenizer_texts(self) -> list[str]:
        """Attribute names and values, and training queries; the same for Recformer and RecformerQuery."""
        columns = self.model.item_texts(())
        texts = [text for name, values in columns.items() for value in values if value for text in (name, value)]
        log = self.loaders.dataset.search_log
        used = np.unique(log.query_index[log.training])
        return texts + [text for i in used for text in (QUERY, log.queries[i])]

    @cached_property
    def rows(self) -> TokenRows:
        """The items of the catalogue, then the queries that histories may contain."""
        special, most = self.vocabulary.special_tokens, self.settings.attribute_tokens
        return flatten(self.model.item_texts(special), self.vocabulary, most) + flatten(
            self.model.query_texts(special), self.vocabulary, most
        )

    def prepare(self) -> Scorer:
        """Sets the model's scorer, with an encoder that is not trained on this dataset yet.

        Raises:
            UserError: the backbone is too small for the configured sequences, or its tokenizer does not fit.
        """
        encoder, self._head = self._start()
        most_items, most_tokens = int(self.config["recformer_max_items"]), int(self.config["recformer_max_tokens"])
        if most_items > encoder.max_items or most_tokens > encoder.max_tokens:
            raise UserError(
                f"recformer_max_items, recformer_max_tokens: {self.name} reads up to {encoder.max_items} items and "
                f"{encoder.max_tokens} tokens; lower {most_items} and {most_tokens}"
            )
        if len(self.vocabulary) > encoder.longformer.config.vocab_size:
            raise UserError(f"recformer_name_or_path: {self.name} has a tokenizer with more tokens than its weights")
        device = torch.device(self.config["device"])
        vocabulary = self.vocabulary
        self.scorer = self.model.scorer = Scorer(
            encoder.to(device),
            self.rows,
            len(self.loaders.dataset.catalogue),
            SequenceShape(vocabulary.bos_id, vocabulary.pad_id, most_items, most_tokens, encoder.window),
            self.settings.encode_tokens,
            pick_compute_dtype(self.settings.compute_dtype, device),
            self.show_progress,
        )
        self.report |= {"parameters": encoder.parameters_count, "backbone": self.name}
        return self.scorer

    def _start(self) -> tuple[Encoder, nn.Module | None]:
        """The initial encoder, and its language-model head if the backbone has one."""
        if self.source is not None:
            return self.source.encoder, None
        config, seed = self.config, self._seed("recformer_encoder")
        if self.name == EMBEDDED:
            return new_encoder(
                vocab_size=len(self.vocabulary),
                width=self.settings.width,
                layers=self.settings.layers,
                heads=self.settings.heads,
                window=self.settings.attention_window,
                max_items=config["recformer_max_items"],
                max_tokens=config["recformer_max_tokens"],
                pad_id=self.vocabulary.pad_id,
                bos_id=self.vocabulary.bos_id,
                seed=seed,
            ), None
        if (Path(self.name) / WEIGHTS).is_file():
            return load_encoder(Path(self.name)), None
        window, most_items = self.settings.attention_window, config["recformer_max_items"]
        return load_longformer(self.name, window, most_items, self.settings.type_init, seed)

    def learn(self, validate: Callable[[], float] | None, on_score: OnScore) -> None:
        """Runs all configured stages; afterwards the scorer is in its best state and has an item matrix.

        Args:
            validate: the validation score of the scorer's current state; None without validation rows.
            on_score: called with (epoch from 0, score); epochs are counted over both stages.
        """
        fits = []
        if self.source is None:
            if self.config["recformer_pretrain_epochs"]:
                self.pretrain()
            if self.config["recformer_finetune"]:
                fits = self._finetune(validate, on_score)
        self.report |= {name: sum(fit[name] for fit in fits) for name in ("epochs", "epochs_allowed")}
        if not len(self.scorer.items):
            inputs = self._inputs() | {"encoder": self._weights()}
            self.scorer.load_items(self.store.get("recformer_items", inputs, self._build_items))

    def _build_items(self, folder: Path) -> None:
        self.scorer.refresh()
        self.scorer.save_items(folder)

    def _inputs(self) -> dict[str, Any]:
        """Inputs that all stages share."""
        inputs: dict[str, Any] = {
            "items": sha256_arrays(self.rows.hashes[: self.scorer.n_items]),
            "shape": asdict(self.scorer.shape),
            "dtype": str(self.scorer.dtype),
        }
        # in the first release a query took the place of an item
        return inputs | ({"queries": "beside the items"} if len(self.rows) > self.scorer.n_items else {})

    def _weights(self) -> list[Any]:
        """The encoder: its weights, and the fields of its config that its forward reads beside them."""
        return [_state_sha256(self.scorer.encoder), self.scorer.encoder.forward_config()]

    def _examples(self, loader: Any) -> Examples:
        feat = rows_of(loader).inter_feat
        users, targets = feat[self.loaders.dataset.uid_field], feat[self.loaders.dataset.iid_field]
        return Examples(users.numpy(), self.model.histories(feat), targets.numpy() - 1)

    @cached_property
    def training(self) -> Examples:
        """The training rows."""
        return self._examples(self.loaders.train)

    def pretrain(self) -> Path:
        """Pre-trains the encoder on the training rows, or loads it from the store; returns the stage's folder."""
        settings = pretrain_settings(self.config, self._seed("recformer_pretrain"))
        head = (self._head or new_head(self.scorer.encoder, settings.seed)).to(self.scorer.device)
        masking = Masking(self.vocabulary.starts_word(), self.vocabulary.mask_id)
        rows = self.training
        inputs = self._inputs() | {
            "encoder": self._weights(),
            "head": _state_sha256(head),
            "rows": rows.sha256(self.rows),
            "masking": [sha256_arrays(masking.starts_word), masking.mask_id],
            "settings": asdict(settings),
        }

        def build(folder: Path) -> None:
            log = pretrain(
                self.scorer, head, rows.users, rows.histories, rows.targets, masking, settings, self.show_progress
            )
            self.scorer.encoder.save(folder)
            self.vocabulary.save(folder)
            (folder / "pretrain.json").write_text(json.dumps(log, indent=1))

        folder = self.store.get("recformer_pretrain", inputs, build)
        self._load(folder)
        self.report["pretrain"] = json.loads((folder / "pretrain.json").read_text())
        return folder

    def _load(self, folder: Path) -> None:
        self.scorer.encoder.load_state_dict(load_encoder(folder).state_dict())

    def _finetune(self, validate: Callable[[], float] | None, on_score: OnScore) -> list[dict[str, Any]]:
        """Runs the stages that have epochs; returns the contents of their fit.json."""
        inputs = self._inputs() | {
            "rows": self.training.sha256(self.rows),
            "valid": self._examples(self.loaders.valid).sha256(self.rows),
            "metric": self.config["valid_metric"],
            "from": self._weights(),
            "ties": "hash",
        }
        if self.config["mask_history"]:  # the scores that choose the best epoch are of masked lists
            inputs["mask_history"] = True
        fits: list[dict[str, Any]] = []
        for number in (1, 2):
            name = f"recformer_stage{number}"
            settings = stage_settings(self.config, number, self._seed(name))
            if not settings.epochs:
                continue
            fits.append(
                self._stage(name, settings, inputs | {"settings": settings.stage_inputs()}, fits, validate, on_score)
            )
            inputs["from"] = fits[-1]["folder"]
        return fits

    def _stage(
        self,
        name: str,
        settings: StageSettings,
        inputs: dict[str, Any],
        before: list[dict[str, Any]],
        validate: Callable[[], float] | None,
        on_score: OnScore,
    ) -> dict[str, Any]:
        epochs_before = sum(fit["epochs"] for fit in before)
        evaluated: list[int] = []

        def on_epoch(epoch: int, score: float) -> None:
            evaluated.append(epoch)
            on_score(epochs_before + epoch, score)

        def build(folder: Path) -> None:
            if not settings.refresh and not len(self.scorer.items):
                self.scorer.refresh()
            log = train_stage(
                self.scorer,
                self.training.users,
                self.training.histories,
                self.training.targets,
                settings,
                validate,
                before[-1]["best_score"] if before else None,
                on_epoch,
                self.show_progress,
                under(self._track, name),
            )
            self.scorer.encoder.save(folder)
            self.scorer.save_items(folder)
            (folder / "fit.json").write_text(json.dumps(log.summary() | {"epochs_allowed": settings.epochs}, indent=1))

        folder = self.store.get(name, inputs, build)
        self._load(folder)
        self.scorer.load_items(folder)
        fit: dict[str, Any] = json.loads((folder / "fit.json").read_text()) | {"folder": folder.name}
        if not evaluated:  # the stage was in the store
            for epoch, score in fit["scores"]:
                on_score(epochs_before + epoch, score)
        return fit


def _state_sha256(module: nn.Module) -> str:
    """Digest of weights."""
    return sha256_arrays(*(tensor.detach().cpu().numpy() for tensor in module.state_dict().values()))
