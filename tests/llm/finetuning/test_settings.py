"""Defaults of the paper, and the names that the hash of the adapter's stage contains."""

from recbole_llmfashion.llm.finetuning.settings import FinetuneLog, FinetuneSettings


def test_defaults_are_those_of_the_paper() -> None:
    settings = FinetuneSettings()
    assert (settings.lora_r, settings.lora_alpha, settings.lora_dropout) == (16, 16, 0.05)
    assert (settings.learning_rate, settings.epochs) == (2e-5, 1)
    assert (settings.curriculum_share, settings.curriculum_epochs) == (0.2, 3)


def test_stage_inputs_have_the_names_of_the_first_release() -> None:
    """Stages on disk are named by a hash of these names and values, so neither may change."""
    assert FinetuneSettings().stage_inputs() == {
        "lora_r": 16,
        "lora_alpha": 16,
        "lora_dropout": 0.05,
        "lora_target_modules": "auto",
        "learning_rate": 2e-5,
        "epochs": 1,
        "hard_share": 0.2,
        "hard_epochs": 3,
        "hard_choice": "perplexity",
        "batch_size": 8,
        "gradient_accumulation": 1,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "warmup_share": 0.03,
        "gradient_checkpointing": False,
        "seed": 0,
        "row_rate": 0.5,
        "perplexity_sample": 512,
    }


def test_later_fields_are_inputs_of_the_stage_where_they_are_set() -> None:
    changed = {
        "curriculum_perplexity": "prompt",
        "lr_scheduler_type": "cosine",
        "torch_compile": True,
        "cuda_graphs": True,
        "fast_dropout": True,
    }
    default = FinetuneSettings().stage_inputs()
    for name, value in changed.items():
        assert FinetuneSettings(**{name: value}).stage_inputs() == default | {name: value}  # type: ignore[arg-type]
    assert FinetuneSettings(warmup_ratio=0.5).stage_inputs() == default | {"warmup_share": 0.5}
    assert FinetuneSettings(max_grad_norm=0.0).stage_inputs() == default | {"max_grad_norm": 0.0}


def test_log_summary() -> None:
    log = FinetuneLog(model=None, losses=[1.5], tokens=7)  # type: ignore[arg-type]
    assert log.summary() == {
        "perplexity": {},
        "format_failures": {},
        "losses": [1.5],
        "tokens": 7,
        "hard_examples": 0,
        "micro_batch": 0,
        "halvings": 0,
        "resumed_at": [],
        "trainable_parameters": 0,
        "validation": [],
        "best_epoch": 0,
        "seconds": 0.0,
    }
