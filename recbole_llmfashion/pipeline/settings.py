"""Settings of the parts of LLMFashionRec, built from a config. Defaults are in properties/ and the dataclasses."""

from collections.abc import Sequence
from typing import Any, get_args

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES
from recbole_llmfashion.embedding.approximate_index import KINDS
from recbole_llmfashion.embedding.clip_text import check_clip
from recbole_llmfashion.embedding.settings import ClipSettings, TitleSettings
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, limit_batch_size
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.generation.generator import DecodingSettings
from recbole_llmfashion.prompt.builder import PromptSettings
from recbole_llmfashion.prompt.item_tokens import ItemTokensName
from recbole_llmfashion.prompt.template import TEMPLATES
from recbole_llmfashion.prompt.training_examples import ResponseEvents
from recbole_llmfashion.retrieval.ranking import FALLBACKS, Ranking

CHOICES = {
    "quantization": ("nf4", "none"),
    "compute_dtype": ("auto", "bf16", "fp16", "fp32"),
    "decoding": ("constrained", "sample"),
    "generation_backend": ("transformers", "vllm"),
    "response_title": ("generated", "catalogue"),
    "prompt_dates": ("auto", True, False),
    "prompt_template": tuple(TEMPLATES),
    "item_tokens": get_args(ItemTokensName),
    "curriculum_choice": ("perplexity", "random"),
    "prompt_item_text": (True, False),
    "loss_on_history": (True, False),
    "response_events": get_args(ResponseEvents),
    "ranking": get_args(Ranking),
    "empty_response_fallback": FALLBACKS,
    "ann_index": KINDS,
    "mixup_title_start": ("m", 0),
}

AT_LEAST = {
    "mixup_m": 0,
    "save_steps": 0,
    "mixup_k": 1,
    "prompts_per_user": 1,
    "memory_neighbors": 1,
    "min_askers": 1,
    "llm_batch_size": 1,
    "max_targets_per_batch": 1,
    "generation_batch_size": 1,
}


def validate_config(config: LLMFashionConfig) -> None:
    """Checks the values of LLMFashionRec's keys before any stage runs.

    Raises:
        UserError: a value that no stage can use.
    """
    for key, values in CHOICES.items():
        if config[key] not in values:
            raise UserError(f"{key}: expected one of {', '.join(map(str, values))}, found '{config[key]}'")
    unknown = set(config["prompt_attributes"]) - set(TEXT_ATTRIBUTES)
    if unknown:
        raise UserError(f"prompt_attributes: expected some of {', '.join(TEXT_ATTRIBUTES)}, found {sorted(unknown)}")
    if not 1 <= config["num_train_workers"] <= config["llm_batch_size"]:
        raise UserError(
            f"num_train_workers: expected 1 to llm_batch_size ({config['llm_batch_size']}), since workers share each "
            f"batch, found {config['num_train_workers']}"
        )
    for key, least in AT_LEAST.items():
        if config[key] < least:
            raise UserError(f"{key}: expected {least} or more, found {config[key]}")
    decoding_settings(config, 0)
    if config["clip_pretrained"]:
        check_clip(str(config["clip_model"]), str(config["clip_pretrained"]))


def clip_settings(config: LLMFashionConfig, seed: int) -> ClipSettings:
    """Settings of the CLIP text tower that is trained if `clip_pretrained` is empty: the dict key `clip`."""
    return ClipSettings(**config["clip"], seed=seed)


def title_settings(config: LLMFashionConfig, seed: int) -> TitleSettings:
    """Settings of the title model: the dict key `title_model`."""
    return TitleSettings(**config["title_model"], seed=seed)


def prompt_settings(config: LLMFashionConfig, has_dates: bool) -> PromptSettings:
    """Settings of the prompts.

    Args:
        config: of LLMFashionRec.
        has_dates: whether the timestamps are dates, which `prompt_dates: auto` follows.
    """
    dates = config["prompt_dates"]
    return PromptSettings(
        attributes=tuple(config["prompt_attributes"]),
        max_length=config["max_length"],
        max_new_tokens=config["max_new_tokens"],
        dates=has_dates if dates == "auto" else dates,
        recalled=config["memory_products"],
        item_text=config["prompt_item_text"],
    )


def finetune_settings(config: LLMFashionConfig, seed: int, examples: Sequence[Example]) -> FinetuneSettings:
    """Settings of the fine-tuning; `max_targets_per_batch` limits the batch size if the prompts have many targets."""
    targets: Any = config["lora_target_modules"]
    return FinetuneSettings(
        lora_r=config["lora_r"],
        lora_alpha=config["lora_alpha"],
        lora_dropout=config["lora_dropout"],
        lora_target_modules=targets if targets == "auto" else tuple(targets),
        learning_rate=config["llm_learning_rate"],
        epochs=config["llm_epochs"],
        curriculum_share=config["curriculum_share"],
        curriculum_epochs=config["curriculum_epochs"],
        curriculum_choice=config["curriculum_choice"],
        batch_size=limit_batch_size(examples, config["llm_batch_size"], config["max_targets_per_batch"]),
        gradient_accumulation_steps=config["gradient_accumulation_steps"],
        weight_decay=config["llm_weight_decay"],
        gradient_checkpointing=config["gradient_checkpointing"],
        item_embedding_lr=config["item_embedding_lr"],
        seed=seed,
    )


def decoding_settings(config: LLMFashionConfig, seed: int) -> DecodingSettings:
    """Settings of the generation of responses."""
    return DecodingSettings(
        decoding=config["decoding"],
        max_new_tokens=config["max_new_tokens"],
        temperature=config["temperature"],
        top_p=config["top_p"],
        batch_size=config["generation_batch_size"],
        seed=seed,
        response_title=config["response_title"],
    )
