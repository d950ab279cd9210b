"""Settings of the parts of LLMFashionRec, built from a config. Defaults are in properties/ and the dataclasses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.data.dataset import check_in_header
from recbole_llmfashion.embedding.clip_text import check_clip
from recbole_llmfashion.embedding.sentence.encoder import load_encoder
from recbole_llmfashion.embedding.settings import ClipSettings, TitleSettings
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example, limit_batch_size
from recbole_llmfashion.llm.finetuning.settings import FinetuneSettings
from recbole_llmfashion.llm.generation.decoding_settings import DecodingSettings
from recbole_llmfashion.llm.modeling.abilities import Needs
from recbole_llmfashion.llm.modeling.adapter import TargetModules
from recbole_llmfashion.llm.modeling.item_embeddings import NORM_FILE
from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON, TINY_FALCON_UNTRAINED
from recbole_llmfashion.prompt.builder import PromptSettings

TINY_DROPOUT = 0.2  # docs/results/recipe.md


def validate_config(config: LLMFashionConfig) -> None:
    """Checks keys of LLMFashionRec that do not go together; `merge_layers` has checked each by itself.

    Raises:
        UserError: catalogue titles without constrained decoding, a tag that the CLIP model does not have, a
            sentence encoder that cannot be loaded, an attribute that the items do not have, or CUDA graphs without a
            GPU.
    """
    if config["cuda_graphs"] and config["device"].type != "cuda":
        raise UserError(f"cuda_graphs: needs a CUDA GPU, found {config['device'].type}; set cuda_graphs: False")
    validate_attributes(config["prompt_attributes"], config)
    decoding_settings(config, 0)
    validate_clip(config)
    if config["memory_encoder"] != "clip":
        load_encoder(str(config["memory_encoder"]), "memory_encoder")


def validate_clip(config: LLMFashionConfig) -> None:
    """Checks the names of a pretrained CLIP tower.

    Raises:
        UserError: see `check_clip`.
    """
    if config["clip_pretrained"]:
        check_clip(str(config["clip_model"]), str(config["clip_pretrained"]))


def validate_attributes(names: Sequence[str], config: LLMFashionConfig) -> None:
    """Checks that prompts can show these attributes of the items of a config's dataset.

    Args:
        names: the key prompt_attributes, of this config or of the run whose LLM answers.
        config: names the dataset.

    Raises:
        UserError: a column twice, or one that `.item` lacks.
    """
    if len(set(names)) < len(names):
        raise UserError(f"prompt_attributes: expected distinct names, found {', '.join(names)}")
    check_in_header(names, config, "prompt_attributes")


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


def loss_on_title(config: LLMFashionConfig) -> bool:
    """Whether responses train with their titles; `loss_on_title: auto` trains what is generated."""
    value = config["loss_on_title"]
    return bool(config["response_title"] == "generated" if value == "auto" else value)


def llm_dropout(config: LLMFashionConfig) -> float | None:
    """Dropout of the backbone's layers in training, None for that of its config.

    `llm_dropout: auto` is for the small backbones of `pretrain-backbone`, which otherwise learn the training answers by
    heart; a pre-trained model of the hub keeps its own.
    """
    value = config["llm_dropout"]
    if value != "auto":
        return None if value is None else float(value)
    name = str(config["llm_name_or_path"])
    own = name in (TINY_FALCON, TINY_FALCON_UNTRAINED) or (Path(name) / NORM_FILE).is_file()
    return TINY_DROPOUT if own else None


def target_modules(config: LLMFashionConfig) -> TargetModules:
    """The key `lora_target_modules`, hashable."""
    targets: Any = config["lora_target_modules"]
    return targets if targets == "auto" else tuple(targets)


def finetune_settings(config: LLMFashionConfig, seed: int, examples: Sequence[Example]) -> FinetuneSettings:
    """Settings of the fine-tuning; `max_targets_per_batch` limits the batch size if the prompts have many targets."""
    return FinetuneSettings(
        lora_r=config["lora_r"],
        lora_alpha=config["lora_alpha"],
        lora_dropout=config["lora_dropout"],
        lora_target_modules=target_modules(config),
        learning_rate=config["llm_learning_rate"],
        epochs=config["llm_epochs"],
        curriculum_share=config["curriculum_share"],
        curriculum_epochs=config["curriculum_epochs"],
        curriculum_choice=config["curriculum_choice"],
        curriculum_perplexity=config["curriculum_perplexity"],
        batch_size=limit_batch_size(examples, config["llm_batch_size"], config["max_targets_per_batch"]),
        gradient_accumulation_steps=config["gradient_accumulation_steps"],
        weight_decay=config["llm_weight_decay"],
        warmup_ratio=config["warmup_ratio"],
        lr_scheduler_type=config["lr_scheduler_type"],
        max_grad_norm=config["max_grad_norm"],
        gradient_checkpointing=config["gradient_checkpointing"],
        torch_compile=config["torch_compile"],
        cuda_graphs=config["cuda_graphs"],
        fast_dropout=config["fast_dropout"],
        item_embedding_lr=config["item_embedding_lr"],
        early_stopping_patience=config["early_stopping_patience"],
        dropout=llm_dropout(config),
        history_dropout=config["history_dropout"],
        label_smoothing_factor=config["label_smoothing_factor"],
        item_embedding_init=config["item_embedding_init"],
        seed=seed,
    )


def backbone_needs(config: LLMFashionConfig) -> Needs:
    """What the keys of a run need of its backbone."""
    beams = config["num_beams"] > 0 and config["decoding"] == "constrained"
    return Needs(
        max_length=config["max_length"],
        quantization=config["quantization"],
        tree_beams=beams and config["generation_backend"] == "transformers" and config["item_tokens"] != "atomic",
        lora_target_modules=target_modules(config),
        dropout=llm_dropout(config),
        cuda_graphs=config["cuda_graphs"],
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
