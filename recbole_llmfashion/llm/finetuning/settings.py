"""Settings of a fine-tuning, and its log."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from recbole_llmfashion.llm.modeling.adapter import TargetModules
from recbole_llmfashion.stage_store import with_first_names

if TYPE_CHECKING:
    from peft import PeftModel


@dataclass(frozen=True)
class FinetuneSettings:
    """The paper's numbers (section 5.1).

    Args:
        lora_r, lora_alpha, lora_dropout: of LoRA.
        lora_target_modules: auto, or names of linear layers.
        learning_rate: peak of AdamW; linear warm-up, then linear to zero.
        epochs: passes over all prompts.
        curriculum_share: share of prompts with the highest perplexity after those passes.
        curriculum_epochs: passes over them in all, the uniform ones included.
        curriculum_choice: perplexity, the paper's; random: as many prompts at random, to measure the choice.
        batch_size: prompts a forward.
        gradient_accumulation_steps: forwards a step; the loss is the mean over all their response tokens.
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to it.
        warmup_share: share of the steps with a rising rate.
        gradient_checkpointing: recompute activations instead of keeping them.
        seed: of A, dropout and batches.
        item_embedding_lr: how far a step moves the rows of items' tokens, all together, in lengths of such a row.
        perplexity_sample: examples on which perplexity is logged at the three points; the choice of the hardest
            always reads all of them.
    """

    lora_r: int = 16
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    lora_target_modules: TargetModules = "auto"
    learning_rate: float = 2e-5
    epochs: int = 1
    curriculum_share: float = 0.2
    curriculum_epochs: int = 3
    curriculum_choice: Literal["perplexity", "random"] = "perplexity"
    batch_size: int = 8
    gradient_accumulation_steps: int = 1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_share: float = 0.03
    gradient_checkpointing: bool = False
    seed: int = 0
    item_embedding_lr: float = 0.5
    perplexity_sample: int = 512

    def stage_inputs(self) -> dict[str, Any]:
        """The settings as names of stages are made of them: fields that were renamed keep their first name there."""
        return with_first_names(
            asdict(self),
            curriculum_share="hard_share",
            curriculum_epochs="hard_epochs",
            curriculum_choice="hard_choice",
            gradient_accumulation_steps="gradient_accumulation",
            item_embedding_lr="row_rate",
        )


@dataclass
class FinetuneLog:
    """What happened.

    Args:
        model: the trained peft model, in eval mode; also the backbone's model.
        perplexity: mean and median of the response's perplexity by point: before, after_uniform, after_hard.
        format_failures: the probe's value at those points; empty without a probe.
        losses: nats a response token, of each step.
        tokens: tokens read in training, padding excluded.
        hard_examples: prompts that trained longer.
        micro_batch: prompts a forward at the end; less than the batch size where memory ran out.
        halvings: how often it did.
        resumed_at: the step after which a killed fine-tuning went on, of each time.
        trainable_parameters: of the adapter.
        seconds: in all, perplexity and probes included.
    """

    model: "PeftModel"
    perplexity: dict[str, dict[str, float]] = field(default_factory=dict)
    format_failures: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    hard_examples: int = 0
    micro_batch: int = 0
    halvings: int = 0
    resumed_at: list[int] = field(default_factory=list)
    trainable_parameters: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """All but the model, ready for JSON."""
        return {key: value for key, value in vars(self).items() if key != "model"}
