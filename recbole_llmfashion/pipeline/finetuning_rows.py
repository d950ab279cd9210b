"""The rows that an LLM is fine-tuned on, and those that its epochs are compared by."""

from logging import getLogger

import numpy as np

from recbole_llmfashion.data.loaders import rows_of, sample_rows
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.llm.batching import Example
from recbole_llmfashion.llm.finetuning.validation import ValidationRows
from recbole_llmfashion.pipeline import settings
from recbole_llmfashion.pipeline.inference import Inference
from recbole_llmfashion.prompt.dataloader import LLMFashionRecDataLoader

VALIDATION_USERS = 2_000  # whose validation rows each epoch of a fine-tuning is scored on, at most


def training_examples(inference: Inference, train_data: LLMFashionRecDataLoader) -> list[Example]:
    """Training prompts with their responses; with loss_on_history, as many as it takes to show every action."""
    train_data.set_builder(inference.builder)
    config, every, report = inference.config, inference.config["loss_on_history"], inference.report
    examples, purchases, users = [], 0, set()
    for row in train_data.training_prompts(config["prompts_per_user"], config["response_events"], every):
        targets = row.prompt.id_positions if every else None
        examples.append(Example(*_response(inference, row.prompt.ids, row.target), targets))
        purchases += row.purchase
        users.add(row.user)
    report["purchase_response_share"] = round(purchases / max(1, len(examples)), 4)
    report["users_without_prompt"] = inference.texts.dataset.user_num - 1 - len(users)
    getLogger(__name__).info(
        f"training prompts: {len(examples)}, of which {report['purchase_response_share']:.1%} have a purchase "
        f"as response (response_events: {config['response_events']}); "
        f"{report['users_without_prompt']} users have no prompt"
    )
    return examples


def validation_rows(inference: Inference, valid_data: LLMFashionRecDataLoader | None) -> ValidationRows | None:
    """Validation rows that the epochs of a fine-tuning are compared by; None without early stopping.

    Raises:
        UserError: there is no validation row.
    """
    if not inference.config["early_stopping_patience"]:
        return None
    if valid_data is None or not len(rows_of(valid_data)):
        raise UserError("early_stopping_patience: the dataset has no validation row; set it to 0")
    valid_data.set_builder(inference.builder)
    chosen = sample_rows(valid_data, VALIDATION_USERS)
    targets = rows_of(valid_data).inter_feat[inference.config["ITEM_ID_FIELD"]][chosen].tolist()
    builder, tokens = inference.builder, inference.item_tokens
    examples = [
        Example(np.concatenate([row.prompt.ids, builder.id_prefix]), builder.response_id(target - 1))
        for row, target in zip(valid_data.rows(chosen), targets, strict=True)
    ]
    if tokens is None or inference.config["item_tokens"] != "atomic":
        return ValidationRows(examples, None)
    return ValidationRows(examples, range(tokens.first, tokens.first + tokens.new_tokens))


def _response(inference: Inference, prompt: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of a training prompt and of its response; without the title the prompt ends where the ID begins."""
    if settings.loss_on_title(inference.config):
        return prompt, inference.builder.response(target)
    return np.concatenate([prompt, inference.builder.id_prefix]), inference.builder.response_id(target)
