"""Settings and log of a fine-tuning."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from recbole_llmfashion.llm.finetuning.perplexity import PerplexityOf
from recbole_llmfashion.llm.finetuning.step.optimizer import Scheduler
from recbole_llmfashion.llm.finetuning.step.recompute import Checkpointing
from recbole_llmfashion.llm.modeling.adapter import TargetModules
from recbole_llmfashion.stage_store import with_first_names, without_later

if TYPE_CHECKING:
    from peft import PeftModel


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of a fine-tuning; the defaults are those of the paper (section 5.1).

    Args:
        lora_r, lora_alpha, lora_dropout: of LoRA.
        lora_target_modules: auto, or names of linear layers.
        learning_rate: peak of AdamW.
        epochs: epochs over all prompts.
        curriculum_share: share of the prompts that the second phase trains.
        curriculum_epochs: epochs over those prompts in total, including the first phase.
        curriculum_choice: how they are chosen. perplexity: the highest perplexity after the first phase, as in the
            paper; random: a random sample of the same size, for comparison.
        curriculum_perplexity: of the response given the prompt, or of the prompt's own tokens.
        batch_size: prompts per forward.
        gradient_accumulation_steps: forwards per optimizer step; the loss is the mean over all their target tokens.
        weight_decay: of AdamW.
        max_grad_norm: gradients are clipped to this global norm; 0 for no clipping.
        warmup_ratio: share of the steps of both phases in the learning rate warm-up.
        lr_scheduler_type: the learning rate after it, see `scheduled_rate`; both phases have one schedule.
        gradient_checkpointing: whether to recompute activations in the backward instead of storing them; auto: in as
            many layers as the memory of the GPU needs, see step/recompute.py.
        torch_compile: whether the decoder layers are compiled, see llm/compiling.py.
        cuda_graphs: whether CUDA graphs repeat forward and backward, see step/captured_gradients.py.
        fast_dropout: whether dropout draws bits on a CPU, see cpu/dropout.py; not with torch_compile.
        seed: random seed for the initial LoRA matrices, dropout and batch order.
        item_embedding_lr: step size for the item embeddings: norm of one update of the whole table, relative to the
            norm of one row.
        early_stopping_patience: epochs without better validation after which the fine-tuning ends; it keeps the best
            epoch. 0 for no validation.
        dropout: of the backbone's own layers in training; None for that of its config.
        history_dropout: share of the item tokens of a training prompt whose embeddings are zero in a step.
        item_embedding_init: initial embeddings of item tokens: of their words, or of their neighbors' words too, see
            neighbor_rows.py.
        label_smoothing_factor: share of a target's probability that is spread over the vocabulary.
        perplexity_sample: number of prompts whose perplexity is logged; the curriculum measures all prompts.
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
    curriculum_perplexity: PerplexityOf = "response"
    batch_size: int = 8
    gradient_accumulation_steps: int = 1
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_ratio: float = 0.03
    lr_scheduler_type: Scheduler = "linear"
    gradient_checkpointing: Checkpointing = False
    torch_compile: bool = False
    cuda_graphs: bool = False
    fast_dropout: bool = False
    seed: int = 0
    item_embedding_lr: float = 0.5
    early_stopping_patience: int = 0
    dropout: float | None = None
    history_dropout: float = 0.0
    label_smoothing_factor: float = 0.0
    item_embedding_init: Literal["words", "neighbors"] = "words"
    perplexity_sample: int = 512

    def stage_inputs(self) -> dict[str, Any]:
        """The settings as a stage's name is hashed from them.

        Renamed fields keep the name of the first release, and later fields are left out with their default.
        """
        return with_first_names(
            without_later(
                asdict(self),
                curriculum_perplexity="response",
                lr_scheduler_type="linear",
                early_stopping_patience=0,
                dropout=None,
                history_dropout=0.0,
                label_smoothing_factor=0.0,
                item_embedding_init="words",
                torch_compile=False,
                cuda_graphs=False,
                fast_dropout=False,
            ),
            curriculum_share="hard_share",
            curriculum_epochs="hard_epochs",
            curriculum_choice="hard_choice",
            gradient_accumulation_steps="gradient_accumulation",
            item_embedding_lr="row_rate",
            warmup_ratio="warmup_share",
        )


@dataclass
class FinetuneLog:
    """Log of a fine-tuning.

    Args:
        model: the trained peft model, which is also the backbone's model.
        perplexity: mean and median perplexity of the responses at each point: before, after_uniform, after_hard.
        format_failures: the probe's value at those points; empty without a probe.
        losses: loss of each step, in nats per target token.
        tokens: tokens read in training, without padding.
        hard_examples: number of prompts in the second phase.
        micro_batch: prompts per forward at the end; below batch_size if the GPU ran out of memory.
        halvings: how often the GPU ran out of memory.
        resumed_at: the step after which the fine-tuning was resumed, for each time.
        trainable_parameters: number of the adapter's parameters.
        validation: the score of each epoch, see validation.py; empty without validation.
        best_epoch: the epoch whose adapter was kept, from 1; 0 without validation.
        seconds: total time, including perplexity and probes.
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
    validation: list[float] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """All fields but the model, as JSON types."""
        return {key: value for key, value in vars(self).items() if key != "model"}
