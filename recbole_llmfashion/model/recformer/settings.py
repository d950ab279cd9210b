"""Settings of Recformer: the fields of the dict key `recformer`, and what its two trainings take from a config.

"Recformer" with a value is the published setting (Li et al., KDD 2023, arXiv 2305.13731).
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # errors in keys are reported before RecBole and torch are imported
    from recbole_llmfashion.config.configurator import LLMFashionConfig


@dataclass(frozen=True)
class RecformerSettings:
    """Fields of the dict key `recformer`; the keys recformer_* that are varied most are keys of their own.

    Args:
        attribute_tokens: maximum number of tokens per attribute, including its name; Recformer has 32.
        type_init: token types of a pretrained Longformer: broadcast its one row, or draw from normal N(0, 0.02).
        attention_window: tokens that a token attends to, an even number; Recformer has 64.
        compute_dtype: bf16, fp16 or fp32; auto: bf16, fp16 on GPUs without it, fp32 on CPUs.
        vocab_size: maximum vocabulary size of the embedded tokenizer.
        width: hidden size of the embedded Longformer, a multiple of `heads`.
        layers: layers of the embedded Longformer; a layer has seven attention projections, Falcon's has four.
        heads: attention heads of the embedded Longformer.
        pretrain_batch_size: pairs of history and next item per pre-training step; Recformer has 64.
        pretrain_learning_rate: peak learning rate of AdamW in pre-training; Recformer has 5e-5.
        mlm_weight: weight of each of the two masked-language-model losses.
        mask_share: share of tokens masked in a sequence.
        freeze_words: when word embeddings are frozen: none, pretraining (Recformer's code) or both.
        stage1_patience: evaluations without gain in valid_metric before stage 1 ends.
        stage2_patience: evaluations without gain in valid_metric before stage 2 ends.
        eval_every: epochs between evaluations; Recformer has 3.
        gradient_accumulation: batches per step; Recformer has 8.
        warmup_steps: warm-up steps of pre-training and of each stage; Recformer has 100 per stage.
        weight_decay: weight decay of AdamW.
        temperature: temperature of the cosines in every softmax.
        encode_tokens: tokens encoded at once outside of training.
    """

    attribute_tokens: int = 24
    type_init: Literal["broadcast", "normal"] = "broadcast"
    attention_window: int = 32
    compute_dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    vocab_size: int = 2048
    width: int = 128
    layers: int = 3
    heads: int = 4
    pretrain_batch_size: int = 16
    pretrain_learning_rate: float = 1e-3
    mlm_weight: float = 0.1
    mask_share: float = 0.15
    freeze_words: Literal["none", "pretraining", "both"] = "none"
    stage1_patience: int = 5
    stage2_patience: int = 3
    eval_every: int = 1
    gradient_accumulation: int = 1
    warmup_steps: int = 20
    weight_decay: float = 0.0
    temperature: float = 0.05
    encode_tokens: int = 16384


@dataclass(frozen=True)
class RecformerPretrainSettings:
    """Settings of pre-training.

    Args:
        epochs: passes over the users, with one pair (history, next item) per user.
        batch_size: pairs per step; the other pairs of a batch are the negatives.
        learning_rate: peak of AdamW's learning rate; linear warm-up, then linear decay to zero.
        warmup_steps: steps until the peak.
        weight_decay: weight decay of AdamW.
        temperature: temperature of the contrastive loss.
        mlm_weight: weight of each of the two language-model losses.
        mask_share: share of tokens masked in a sequence.
        freeze_words: whether word embeddings are frozen.
        seed: random seed for pairs, masks and dropout.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    temperature: float
    mlm_weight: float
    mask_share: float
    freeze_words: bool
    seed: int


@dataclass(frozen=True)
class StageSettings:
    """Settings of one stage of fine-tuning.

    Args:
        epochs: maximum number of epochs; an epoch has one training row per user.
        patience: evaluations without gain before the stage ends.
        eval_every: epochs between evaluations; the last epoch is always evaluated.
        batch_size: rows per forward pass.
        gradient_accumulation_steps: forward passes per step.
        learning_rate: peak of AdamW's learning rate; linear warm-up, then linear decay to zero.
        warmup_steps: steps until the peak.
        weight_decay: weight decay of AdamW.
        temperature: temperature of the loss.
        freeze_words: whether word embeddings are frozen.
        refresh: whether the item matrix is computed again at the start of each epoch; true in stage 1.
        seed: random seed for rows and dropout.
    """

    epochs: int
    patience: int
    eval_every: int
    batch_size: int
    gradient_accumulation_steps: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    temperature: float
    freeze_words: bool
    refresh: bool
    seed: int

    def stage_inputs(self) -> dict[str, Any]:
        """The settings by the field names of the first release, which the names of stages are made of."""
        from recbole_llmfashion.stage_store import with_first_names  # numpy, which errors in keys do not need

        return with_first_names(asdict(self), gradient_accumulation_steps="gradient_accumulation")


def recformer_settings(config: "LLMFashionConfig") -> RecformerSettings:
    """The dict key `recformer`."""
    return RecformerSettings(**config["recformer"])


def pretrain_settings(config: "LLMFashionConfig", seed: int) -> RecformerPretrainSettings:
    """The settings of pre-training in a config."""
    own = recformer_settings(config)
    return RecformerPretrainSettings(
        epochs=config["recformer_pretrain_epochs"],
        batch_size=own.pretrain_batch_size,
        learning_rate=own.pretrain_learning_rate,
        warmup_steps=own.warmup_steps,
        weight_decay=own.weight_decay,
        temperature=own.temperature,
        mlm_weight=own.mlm_weight,
        mask_share=own.mask_share,
        freeze_words=own.freeze_words != "none",
        seed=seed,
    )


def stage_settings(config: "LLMFashionConfig", number: int, seed: int) -> StageSettings:
    """The settings of stage 1 or stage 2 of fine-tuning in a config."""
    own, first = recformer_settings(config), number == 1
    return StageSettings(
        epochs=config["recformer_stage1_epochs"] if first else config["recformer_stage2_epochs"],
        patience=own.stage1_patience if first else own.stage2_patience,
        eval_every=own.eval_every,
        batch_size=config["recformer_batch_size"],
        gradient_accumulation_steps=own.gradient_accumulation,
        learning_rate=config["recformer_learning_rate"],
        warmup_steps=own.warmup_steps,
        weight_decay=own.weight_decay,
        temperature=own.temperature,
        freeze_words=own.freeze_words == "both",
        refresh=first,
        seed=seed,
    )
