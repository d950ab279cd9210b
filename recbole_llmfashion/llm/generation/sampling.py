"""Sampling as in the paper (section 5.1): a temperature, then a draw from the likeliest tokens of probability `top_p`.

On a CPU the tokens are those that `model.generate` of transformers draws from the same state of torch's generator, to
the rounding of the logits. The shared prefix of the prompts is computed once, keys and values are not copied at each
step, and rows that have ended leave the batch. On a GPU all rows stay, and the host looks at them every CHECK_EVERY
tokens, so a batch may draw a few numbers more than `model.generate`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

from recbole_llmfashion.llm.generation.cached_forward.prefill import PromptBatch
from recbole_llmfashion.llm.generation.device_search import CHECK_EVERY


def _warpers(temperature: float, top_p: float) -> LogitsProcessorList:
    nucleus = [TopPLogitsWarper(top_p)] if top_p < 1 else []
    return LogitsProcessorList([TemperatureLogitsWarper(float(temperature)), *nucleus])


def _draw(probabilities: Tensor, rows: Tensor, total: int) -> Tensor:
    """A token of each row, int64 [A], from probabilities [A, V] of the rows int64 [A] of a batch of `total`.

    The rows that have left the batch draw too: a row's token does not depend on which others have ended.
    """
    if len(rows) == total:
        return torch.multinomial(probabilities, 1)[:, 0]
    everywhere = probabilities.new_zeros(total, probabilities.shape[1])
    everywhere[:, 0] = 1
    everywhere[rows] = probabilities
    return torch.multinomial(everywhere, 1)[rows, 0]


def sample(
    batch: PromptBatch,
    steps: int,
    temperature: float,
    top_p: float,
    eos_id: int,
    on_text: Callable[[Tensor], None] | None = None,
    look: bool | None = None,
) -> Tensor:
    """Draws a token for each row at each step.

    Args:
        batch: B prompts, with room for `steps` tokens.
        steps: T, maximum number of tokens per row.
        temperature: above 0; the logits are divided by it.
        top_p: the likeliest tokens whose probabilities reach it together can be drawn; 1 for all.
        eos_id: ends a row.
        on_text: called after each step with the tokens so far, int64 [B, t].
        look: whether to look at the rows after each token and let those leave that have ended, which saves work on a
            CPU and waits on a GPU; None: on a CPU.

    Returns:
        int64 [B, T] tokens, eos_id after the end of a row.
    """
    device, total, warpers = batch.logits.device, len(batch), _warpers(temperature, top_p)
    look = device.type == "cpu" if look is None else look
    every = 1 if look else CHECK_EVERY
    out = torch.full((total, steps), eos_id, device=device)
    rows = torch.arange(total, device=device)
    done = torch.zeros(total, dtype=torch.bool, device=device)
    logits = batch.logits
    for at in range(steps):
        tokens = _draw(warpers(out[rows, :at], logits.float()).softmax(1), rows, total)
        tokens = torch.where(done, eos_id, tokens)
        out[rows, at] = tokens
        done = tokens == eos_id
        if on_text is not None:
            on_text(out[:, : at + 1])
        if at + 1 == steps or ((at + 1) % every == 0 and bool(done.all())):
            break
        if look and 2 * int(done.sum()) >= len(done):
            alive = (~done).nonzero()[:, 0]
            batch.keep(alive)
            rows, done, tokens = rows[alive], done[alive], tokens[alive]
        logits = batch.feed(tokens[:, None])
    return out
