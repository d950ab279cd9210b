"""Recformer's part of a config and its training rows as plain values: the two things that its stages are made from.

Knows the keys recformer_* and how rows are digested; builds and trains nothing.
"""

from dataclasses import dataclass

import numpy as np

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.model.recformer.finetune import StageSettings
from recbole_llmfashion.model.recformer.flatten import TokenRows
from recbole_llmfashion.model.recformer.pretrain import RecformerPretrainSettings
from recbole_llmfashion.stage_store import sha256_arrays


@dataclass(frozen=True)
class Examples:
    """Rows: what was there before, and what came next.

    Args:
        users: [n], each user's together and in order of time.
        histories: entries, most recent first.
        targets: [n] catalogue positions.
    """

    users: np.ndarray
    histories: list[np.ndarray]
    targets: np.ndarray

    def sha256(self, rows: TokenRows) -> str:
        """Digest of what the rows say, whatever numbers their entries have."""
        entries = rows.hashes[np.concatenate([np.zeros(0, np.int64), *self.histories])]
        lengths = np.array([len(history) for history in self.histories], np.int64)
        return sha256_arrays(self.users, lengths, entries, self.targets)


def pretrain_settings(config: LLMFashionConfig, seed: int) -> RecformerPretrainSettings:
    """Pre-training's part of a config."""
    return RecformerPretrainSettings(
        epochs=config["recformer_pretrain_epochs"],
        batch_size=config["recformer_pretrain_batch_size"],
        learning_rate=config["recformer_pretrain_learning_rate"],
        warmup_steps=config["recformer_warmup_steps"],
        weight_decay=config["recformer_weight_decay"],
        temperature=config["recformer_temperature"],
        mlm_weight=config["recformer_mlm_weight"],
        mask_share=config["recformer_mask_share"],
        freeze_words=config["recformer_freeze_words"] != "none",
        seed=seed,
    )


def stage_settings(config: LLMFashionConfig, number: int, seed: int) -> StageSettings:
    """Stage 1's or stage 2's part of a config."""
    first = number == 1
    return StageSettings(
        epochs=config["recformer_stage1_epochs"] if first else config["recformer_stage2_epochs"],
        patience=config["recformer_stage1_patience"] if first else config["recformer_stage2_patience"],
        eval_every=config["recformer_eval_every"],
        batch_size=config["recformer_batch_size"],
        gradient_accumulation_steps=config["recformer_gradient_accumulation"],
        learning_rate=config["recformer_learning_rate"],
        warmup_steps=config["recformer_warmup_steps"],
        weight_decay=config["recformer_weight_decay"],
        temperature=config["recformer_temperature"],
        freeze_words=config["recformer_freeze_words"] == "both",
        refresh=first,
        seed=seed,
    )
