"""The values of every key, RecBole's and ours. Imports neither RecBole nor torch.

A key of RecBole that has no entry here has the type of its default. docs/config.md shows these tables.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import yaml

from recbole_llmfashion.config.allowed import (
    ABOVE_ZERO,
    ANY_TEXT,
    ANYTHING,
    AT_LEAST_ONE,
    AT_LEAST_ZERO,
    BOOLEAN,
    COLUMN_NAME,
    DECAY,
    DICT,
    DROPOUT,
    EMPTY,
    INTERVALS,
    LIST,
    NOT_NEGATIVE,
    RATE,
    SEED,
    SHARE,
    TEXT,
    VALUES,
    Allowed,
    choice,
    either,
    list_of,
    number,
    shown,
    whole,
)
from recbole_llmfashion.config.yaml_files import YamlLoader
from recbole_llmfashion.errors import UserError

MAYBE_TEXT = either(TEXT, EMPTY)
SESSION_MODELS = ("CORE", "SASRec", "SASRecSampled")
COUNTS = list_of(AT_LEAST_ONE, "whole numbers of 1 or more", least=1)
SIZE = whole(1, 65_536)  # of a layer; a larger one fits into no memory
SIZES = list_of(SIZE, "whole numbers from 1 to 65536", least=1)
LOSSES = choice("CE", "BPR")
CLIP_GRAD_NORM = Allowed(
    "a dict such as {max_norm: 5, norm_type: 2}",
    lambda value: (
        isinstance(value, dict)
        and "max_norm" in value
        and value.keys() <= {"max_norm", "norm_type"}
        and all(ABOVE_ZERO.holds(number) for number in value.values())
    ),
)

RECBOLE_VALUES: dict[str, Allowed] = {
    # environment
    "gpu_id": either(ANY_TEXT, AT_LEAST_ZERO),
    "worker": whole(0, 256),
    "seed": SEED,
    "state": choice("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", any_case=True),
    "data_path": TEXT,
    "checkpoint_dir": TEXT,
    "wandb_project": TEXT,
    # data
    "rm_dup_inter": either(choice("first", "last"), EMPTY),
    "val_interval": either(VALUES, EMPTY),
    **dict.fromkeys(("user_inter_num_interval", "item_inter_num_interval"), either(INTERVALS, EMPTY)),
    **dict.fromkeys(("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD"), COLUMN_NAME),
    # training
    "epochs": AT_LEAST_ONE,
    "train_batch_size": AT_LEAST_ONE,
    "learner": choice("adam", "adamw", "sgd", "adagrad", "rmsprop", any_case=True),
    "learning_rate": RATE,
    "weight_decay": DECAY,
    "eval_step": AT_LEAST_ONE,
    "stopping_step": AT_LEAST_ZERO,
    "clip_grad_norm": either(CLIP_GRAD_NORM, EMPTY),
    "transform": either(choice("mask_itemseq", "inverse_itemseq", "crop_itemseq", "reorder_itemseq"), EMPTY),
    "MAX_ITEM_LIST_LENGTH": AT_LEAST_ONE,
    # evaluation
    "metrics": either(list_of(TEXT, "names", least=1), TEXT),
    "topk": either(COUNTS, AT_LEAST_ONE),
    "valid_metric": TEXT,
    "tail_ratio": either(ABOVE_ZERO, EMPTY),
    "load_col": either(DICT, EMPTY),
    "eval_batch_size": AT_LEAST_ONE,
    "metric_decimal_place": whole(0, 20),
    "loss_decimal_place": whole(0, 20),
    # models: sizes
    **dict.fromkeys(
        (
            "embedding_size", "hidden_size", "inner_size", "interest_size", "prototype_size", "kg_embedding_size",
            "kernel_size", "n_layers", "num_layers", "n_heads", "block_num", "nh", "nv", "order_len", "k_interests",
            "short_item_length", "high_order", "step", "save_step", "pretrain_epochs",
        ),
        SIZE,
    ),
    "mlp_hidden_size": SIZES,
    "dilations": SIZES,
    # models: shares and factors
    **dict.fromkeys(
        ("dropout_prob", "attn_dropout_prob", "hidden_dropout_prob", "item_dropout", "sess_dropout"), DROPOUT
    ),
    "dropout_probs": list_of(DROPOUT, "numbers of 0 or more and below 1", least=2, most=2),
    "mask_ratio": number(above=0, below=1),
    "ft_ratio": SHARE,
    "tau_ratio": ABOVE_ZERO,
    "global_ratio": number(above=0, most=1),
    "spatial_ratio": SHARE,
    "temperature": ABOVE_ZERO,
    "layer_norm_eps": ABOVE_ZERO,
    "initializer_range": NOT_NEGATIVE,
    "weight": SHARE,
    "reg_loss_ratio": SHARE,
    "topk_factor": ABOVE_ZERO,
    "selected_features": list_of(TEXT, "names", least=1),
    # models: kinds
    "loss_type": LOSSES,
    "hidden_act": choice("gelu", "relu", "swish", "tanh", "sigmoid"),
    "dnn_type": choice("trm", "ave"),
    "gru_type": choice("GRU", "AIGRU", "AGRU", "AUGRU"),
    "pooling_mode": choice("max", "mean", "sum"),
    "pooling_type": choice("max", "average"),
    "pooling_type_layer_1": choice("max", "average"),
    "pooling_type_layer_2": choice("max", "average"),
}  # fmt: skip

# Models that compute one loss only, or rank in one way.
MODEL_VALUES: dict[tuple[str, str], Allowed] = {
    ("CORE", "loss_type"): choice("CE"),
    ("FPMC", "loss_type"): choice("BPR"),
    ("Fusion", "ranking"): choice("fusion"),
    ("RepeatNet", "loss_type"): choice("CE"),
    ("SASRecSampled", "loss_type"): choice("CE"),
    ("TextSASRec", "loss_type"): choice("CE"),
}

OWN_VALUES: dict[str, Allowed] = {
    # evaluation and rows
    "show_progress": BOOLEAN,
    "n_jobs": either(AT_LEAST_ONE, choice("auto")),
    "use_tuned": BOOLEAN,
    "log_wandb": BOOLEAN,
    "log_tensorboard": MAYBE_TEXT,
    "eval_memory_mb": AT_LEAST_ONE,
    "mask_history": choice("auto", True, False),
    "repeatable": choice(True),
    "train_neg_sample_args": either(DICT, EMPTY),
    "eval_args": DICT,
    "click_filter": choice("paper", "train", "none"),
    "split_by": choice("user", "time"),
    "time_split": list_of(number(above=0, below=1), "numbers above 0 and below 1", least=2, most=2),
    "train_share": number(above=0, most=1),
    "train_targets": choice("all", "purchase"),
    "length_groups": BOOLEAN,
    "cold_token": BOOLEAN,
    "search_attribution_hours": NOT_NEGATIVE,
    "knn_history": AT_LEAST_ONE,
    "text_encoder": TEXT,
    "n_negatives": AT_LEAST_ZERO,
    "similarity": choice("dot", "cosine"),
    "softmax_temperature": ABOVE_ZERO,
    # stage 1
    "prompt_template": choice("paper", "compact"),
    "max_length": AT_LEAST_ONE,
    "prompt_attributes": list_of(TEXT, "columns of .item"),
    "prompt_item_text": BOOLEAN,
    "loss_on_history": BOOLEAN,
    "loss_on_title": choice("auto", True, False),
    "item_tokens": choice("text", "atomic", "semantic"),
    "prompt_dates": choice("auto", True, False),
    "response_events": choice("all", "purchase"),
    "prompts_per_user": AT_LEAST_ONE,
    "memory_neighbors": AT_LEAST_ONE,
    "memory_products": AT_LEAST_ZERO,
    "memory_list_size": AT_LEAST_ONE,
    "min_askers": AT_LEAST_ONE,
    "memory_encoder": TEXT,
    "clip_model": TEXT,
    "clip_pretrained": MAYBE_TEXT,
    # stage 2
    "llm_name_or_path": TEXT,
    "quantization": choice("nf4", "none"),
    "compute_dtype": choice("auto", "bf16", "fp16", "fp32"),
    "lora_r": whole(1, 4096),
    "lora_alpha": AT_LEAST_ONE,
    "lora_dropout": DROPOUT,
    "llm_dropout": either(DROPOUT, choice("auto"), EMPTY),
    "history_dropout": DROPOUT,
    "label_smoothing_factor": DROPOUT,
    "item_embedding_init": choice("words", "neighbors"),
    "lora_target_modules": either(choice("auto"), list_of(TEXT, "names", least=1)),
    "llm_learning_rate": RATE,
    "item_embedding_lr": DECAY,
    "llm_epochs": AT_LEAST_ONE,
    "curriculum_share": SHARE,
    "curriculum_epochs": AT_LEAST_ZERO,
    "early_stopping_patience": AT_LEAST_ZERO,
    "curriculum_choice": choice("perplexity", "random"),
    "curriculum_perplexity": choice("response", "prompt"),
    "llm_batch_size": AT_LEAST_ONE,
    "max_targets_per_batch": AT_LEAST_ONE,
    "gradient_accumulation_steps": AT_LEAST_ONE,
    "llm_weight_decay": DECAY,
    "warmup_ratio": SHARE,
    "lr_scheduler_type": choice("linear", "cosine", "constant", "constant_with_warmup"),
    "max_grad_norm": NOT_NEGATIVE,
    "gradient_checkpointing": either(BOOLEAN, choice("auto")),
    "torch_compile": BOOLEAN,
    "cuda_graphs": BOOLEAN,
    "fast_dropout": BOOLEAN,
    "save_steps": AT_LEAST_ZERO,
    "num_train_workers": AT_LEAST_ONE,
    "ray_address": MAYBE_TEXT,
    "decoding": choice("constrained", "sample"),
    "response_title": choice("generated", "catalogue"),
    "max_new_tokens": AT_LEAST_ONE,
    "num_beams": whole(0, 10_000),
    "top_p": number(above=0, most=1),
    "generation_batch_size": AT_LEAST_ONE,
    "generation_backend": choice("transformers", "vllm"),
    "vllm_python": MAYBE_TEXT,
    # stage 3
    "session_model": choice(*SESSION_MODELS),
    "image_list": BOOLEAN,
    "ranking": choice("beams", "clip", "fusion", "id", "mixup", "title"),
    "mixup_m": AT_LEAST_ZERO,
    "mixup_k": AT_LEAST_ONE,
    "mixup_title_start": choice("m", 0),
    "ann_index": choice("flat", "ivf", "hnsw"),
    "empty_response_fallback": choice("memory", "popularity"),
    "source_dataset": MAYBE_TEXT,
    "zero_shot_target_log": BOOLEAN,
    "tune_report_users": AT_LEAST_ONE,
    # Recformer
    "recformer_attributes": list_of(TEXT, "names", least=1),
    "recformer_max_items": AT_LEAST_ONE,
    "recformer_max_tokens": whole(2),
    "recformer_name_or_path": TEXT,
    "recformer_pretrain_epochs": AT_LEAST_ZERO,
    "recformer_finetune": BOOLEAN,
    "recformer_stage1_epochs": AT_LEAST_ZERO,
    "recformer_stage2_epochs": AT_LEAST_ZERO,
    "recformer_batch_size": AT_LEAST_ONE,
    "recformer_learning_rate": RATE,
}

_BY_TYPE: dict[type, Allowed] = {
    bool: BOOLEAN, int: whole(), float: number(), str: ANY_TEXT, list: LIST, dict: DICT,
}  # fmt: skip


def allowed_values(key: str, default: Any = None, model: str = "") -> Allowed:
    """The values of a key.

    Args:
        key: its name.
        default: gives the type of a key without an entry; without a default such a key takes anything.
        model: some models take fewer values than others.

    >>> allowed_values("lora_dropout").words, allowed_values("n_facet", default=1).words
    ('a number of 0 or more and below 1', 'a whole number')
    """
    for found in (MODEL_VALUES.get((model, key)), OWN_VALUES.get(key), RECBOLE_VALUES.get(key)):
        if found is not None:
            return found
    if isinstance(default, list) and default and all(isinstance(entry, float) for entry in default):
        return list_of(number(), "numbers", len(default), len(default))
    return _BY_TYPE.get(type(default), ANYTHING)


def check_values(values: Mapping[str, Any], defaults: Mapping[str, Any], model: str, source: str) -> None:
    """Checks every key of one layer for one model; the model's default is always a value.

    Args:
        values: of keys that the model has.
        defaults: the model's keys with their defaults.
        model: its name.
        source: of the values, for messages.

    Raises:
        UserError: a key cannot have its value; one line with the source, the key, what it takes and what was found.
    """
    for key, value in values.items():
        default = defaults.get(key)
        allowed = allowed_values(key, default, model)
        if allowed.holds(value) or (type(value) is type(default) and value == default):
            continue
        words = f"{allowed.words} for {model}" if (model, key) in MODEL_VALUES else allowed.words
        raise UserError(f"{source}: {key}: expected {words}, found {shown(value)}{_hint(key, value, allowed)}")


def _hint(key: str, value: Any, allowed: Allowed) -> str:
    """The right form of a value with commas, as the end of a message."""
    if key == "seed" and isinstance(value, str | list):
        return "; a run has one seed, `study compare --seeds 3` runs several"
    if not isinstance(value, str) or "," not in value:
        return ""
    try:
        entries = [yaml.load(entry, Loader=YamlLoader) for entry in value.split(",")]
    except yaml.YAMLError:
        return ""
    return f"; write --{key}=[{value}]" if allowed.holds(entries) else ""


def check_tracking_packages(values: Mapping[str, Any], source: str) -> None:
    """Raises UserError if a layer sets `log_wandb` or `log_tensorboard`, and its package is not installed."""
    for key, package in (("log_wandb", "wandb"), ("log_tensorboard", "tensorboard")):
        if values.get(key) and find_spec(package) is None:
            raise UserError(
                f"{source}: {key}: {package} is not installed; run `uv sync --extra tracking` or "
                f"`pip install {package}`, or leave {key} out"
            )
