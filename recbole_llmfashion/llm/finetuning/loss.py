"""The loss on the response alone, with logits computed only where a response token is predicted.

Knows no optimizer and no tokenizer. A prompt of 1,000 tokens with a response of 40 at a vocabulary of 65,024 would
otherwise cost 25 times the logits.
"""

import inspect
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional as F

from recbole_llmfashion.llm.batching import Batch
from recbole_llmfashion.llm.modeling.adapter import causal_lm

_plain_heads: "WeakKeyDictionary[Any, bool]" = WeakKeyDictionary()


def _probe_head(lm: Any) -> bool:
    """Runs two tokens with hooks: does the head see the decoder's output, and is its output the logits, untouched?

    The head's output is replaced by large known values, so that a softcap or a scale shows whatever the weights are.
    """
    head, decoder = lm.get_output_embeddings(), lm.get_decoder()
    if head is None or decoder is lm:
        return False
    seen: dict[str, Tensor] = {}

    def on_decoder(_module: Any, _args: Any, output: Any) -> None:
        seen["hidden"] = output[0]

    def on_head(_module: Any, args: Any, output: Tensor) -> Tensor:
        seen["input"] = args[0]
        values = torch.linspace(-200, 200, output.numel(), device=output.device)
        seen["output"] = values.reshape(output.shape).to(output.dtype)
        return seen["output"]

    hooks = [decoder.register_forward_hook(on_decoder), head.register_forward_hook(on_head)]
    try:
        with torch.no_grad(), torch.random.fork_rng():  # a training's dropout must not depend on being asked
            ids = torch.zeros((1, 2), dtype=torch.long, device=head.weight.device)
            logits = lm(input_ids=ids, use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    same_input = "hidden" in seen and "input" in seen and torch.equal(seen["hidden"], seen["input"])
    return same_input and torch.equal(logits.float(), seen["output"].float())


def has_plain_head(lm: Any) -> bool:
    """Whether logits are head(hidden) and nothing more; asked of each model once."""
    if lm not in _plain_heads:
        _plain_heads[lm] = _probe_head(lm)
    return _plain_heads[lm]


def _logits_at(model: Any, batch: Batch, rows: Tensor, columns: Tensor) -> Tensor:
    """Logits [M, V] at M positions."""
    lm = causal_lm(model)
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "use_cache": False}
    if has_plain_head(lm):
        hidden = lm.get_decoder()(**inputs)[0]
        return lm.get_output_embeddings()(hidden[rows, columns])
    if "logits_to_keep" not in inspect.signature(lm.forward).parameters:
        return lm(**inputs).logits[rows, columns]
    kept, place = torch.unique(columns, return_inverse=True)
    return lm(**inputs, logits_to_keep=kept).logits[rows, place]


def response_loss(model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of the response given the prompt.

    loss[b] = - sum over response positions t of log p(token[b, t] | token[b, :t])

    Where a model's own forward does more than head(hidden) (a final softcap or a scale of the logits), its forward is
    run with `logits_to_keep` at the positions that any row needs, or in full where it has no such argument.

    Args:
        model: a causal LM or a peft model around one; gradients flow unless the caller forbids them.
        batch: B examples on the model's device.

    Returns:
        (sum of token losses [B] float32 in nats, response tokens [B] int64).
    """
    rows, columns = torch.nonzero(batch.response_mask[:, 1:], as_tuple=True)
    targets = batch.input_ids[rows, columns + 1]
    losses = F.cross_entropy(_logits_at(model, batch, rows, columns).float(), targets, reduction="none")
    sums = torch.zeros(len(batch.input_ids), device=losses.device).index_add(0, rows, losses)
    return sums, batch.response_mask[:, 1:].sum(1)
