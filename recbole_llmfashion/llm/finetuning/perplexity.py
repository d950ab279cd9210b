"""How hard a response is for a model, and which prompts are the hardest (section 4.3 of the paper).

Measures only: nothing here trains.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from recbole_llmfashion.llm.batching import Example, collate
from recbole_llmfashion.llm.finetuning.data_parallel import SINGLE_PROCESS, Workers
from recbole_llmfashion.llm.finetuning.loss import response_loss


def pad_id(model: Any) -> int:
    """Any id serves, since padding is masked."""
    pad = model.config.pad_token_id
    return pad if isinstance(pad, int) else 0


def perplexities(
    model: Any,
    examples: Sequence[Example],
    batch_size: int,
    show_progress: bool = True,
    ranks: Workers = SINGLE_PROCESS,
) -> np.ndarray:
    """exp(mean negative log-likelihood of a response token given the prompt), float64 [n], in the order of `examples`.

    The model is in eval mode meanwhile, without a gradient, and in its own mode afterwards. Of several workers each
    measures its part, and all have all of them.
    """
    result = np.zeros(len(examples))
    order = ranks.part(np.argsort([-len(example) for example in examples], kind="stable"))
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    starts = range(0, len(order), batch_size)
    with torch.no_grad():
        for start in tqdm(starts, desc="perplexity", unit="batch", disable=not show_progress, leave=False):
            chosen = order[start : start + batch_size]
            batch = collate([examples[i].response_only() for i in chosen], pad_id(model))
            sums, counts = response_loss(model, batch.to(device))
            result[chosen] = np.exp((sums.double() / counts).cpu().numpy())
    model.train(was_training)
    return ranks.total(result)


def hardest(values: np.ndarray, share: float) -> np.ndarray:
    """Indices of the round(share * n) highest values, ascending; of equal values the earlier index."""
    order = np.argsort(-values, kind="stable")
    return np.sort(order[: round(share * len(values))])
