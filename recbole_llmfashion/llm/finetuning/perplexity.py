"""Perplexity of responses, and the prompts with the highest one (paper, section 4.3)."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from recbole_llmfashion.llm.batching import Example, collate, each_batch
from recbole_llmfashion.llm.eval_mode import eval_mode
from recbole_llmfashion.llm.finetuning.step.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.step.loss import response_loss
from recbole_llmfashion.llm.layers.falcon import fused_falcon
from recbole_llmfashion.llm.layers.fused_lora import fast_lora

PerplexityOf = Literal["response", "prompt"]  # values of the key curriculum_perplexity


def read_as(examples: Sequence[Example], of: PerplexityOf) -> list[Example]:
    """Examples whose perplexity is that of the response or of the prompt.

    Args:
        examples: prompts of at least two tokens, and responses.
        of: response: given the prompt; prompt: the prompt's tokens after the first, without the response.

    >>> example = Example(np.array([5, 8, 9]), np.array([7, 1]), np.array([1]))
    >>> [(one.prompt.tolist(), one.response.tolist()) for one in read_as([example], "prompt")]
    [([5], [8, 9])]
    """
    if of == "response":
        return list(examples)
    return [Example(example.prompt[:1], example.prompt[1:]) for example in examples]


def pad_id(model: Any) -> int:
    """The model's padding id, or 0 if it has none: padding is masked, so the id does not matter."""
    pad = model.config.pad_token_id
    return pad if isinstance(pad, int) else 0


def evaluate_examples(
    model: Any,
    examples: Sequence[Example],
    batch_size: int,
    score: Callable[[Sequence[Example]], Tensor],
    name: str,
    show_progress: bool,
    workers: Workers,
) -> np.ndarray:
    """A number for each example, in eval mode without gradients; the model's training mode is restored.

    With several workers each computes a part, and all return the whole result. A worker that runs out of memory halves
    its batch, and goes on.

    Args:
        model: a causal LM or a peft model around one.
        examples: n examples.
        batch_size: examples per forward, at most.
        score: the numbers [B] of a batch of similar lengths.
        name: of the progress bar.
        show_progress: whether to show it.
        workers: this process among the data-parallel workers.

    Returns:
        float64 [n].

    Raises:
        UserError: one worker has not enough memory for one example; all workers raise it.
    """
    result = np.zeros(len(examples))
    order = workers.part(np.argsort([-len(example) for example in examples], kind="stable"))
    lengths = [len(examples[i]) for i in order]

    def process(chosen: np.ndarray) -> None:
        rows = order[chosen]
        result[rows] = score([examples[i] for i in rows]).double().cpu().numpy()

    with eval_mode(model), torch.no_grad():
        workers.agree(
            lambda: each_batch(lengths, batch_size, process, show_progress, name, "llm_batch_size", keep_bar=False)
        )
    return workers.total(result)


def perplexities(
    model: Any,
    examples: Sequence[Example],
    batch_size: int,
    show_progress: bool = True,
    workers: Workers = SINGLE_PROCESS,
) -> np.ndarray:
    """Perplexity of each response given its prompt: exp(mean negative log-likelihood of the response's tokens).

    Args:
        model: a causal LM or a peft model around one.
        examples: n examples; only their responses count, not the other target tokens.
        batch_size, show_progress, workers: see `evaluate_examples`.

    Returns:
        float64 [n].
    """
    device = next(model.parameters()).device

    def perplexity(batch: Sequence[Example]) -> Tensor:
        collated = collate([example.response_only() for example in batch], pad_id(model))
        sums, counts = response_loss(model, collated.to(device))
        return torch.exp(sums.double() / counts)

    with fast_lora(model), fused_falcon(model):
        return evaluate_examples(model, examples, batch_size, perplexity, "perplexity", show_progress, workers)


def hardest(values: np.ndarray, share: float) -> np.ndarray:
    """Indices of the round(share * n) highest values, ascending; ties go to the lower index.

    >>> hardest(np.array([3.0, 9.0, 1.0, 9.0, 5.0]), 0.6)
    array([1, 3, 4])
    """
    order = np.argsort(-values, kind="stable")
    return np.sort(order[: round(share * len(values))])
