"""Loss on target tokens only, with logits computed only at the positions that predict them.

For a prompt of 1,000 tokens and a response of 40 this saves 25/26 of the logits, each a row of the whole vocabulary.
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
    """Checks with two tokens and hooks that the head reads the decoder's output and that its output is the logits.

    The head's output is replaced by large known values, so that a softcap or a scale is detected for any weights.
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
        with torch.no_grad(), torch.random.fork_rng():  # the check must not change the dropout of a training
            ids = torch.zeros((1, 2), dtype=torch.long, device=head.weight.device)
            logits = lm(input_ids=ids, use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    same_input = "hidden" in seen and "input" in seen and torch.equal(seen["hidden"], seen["input"])
    return same_input and torch.equal(logits.float(), seen["output"].float())


def has_plain_head(lm: Any) -> bool:
    """Whether the model's logits are exactly head(hidden); cached per model."""
    if lm not in _plain_heads:
        _plain_heads[lm] = _probe_head(lm)
    return _plain_heads[lm]


def logits_at(model: Any, ids: Tensor, mask: Tensor | None, rows: Tensor, columns: Tensor) -> Tensor:
    """Logits [M, V] at M positions of ids int64 [B, T].

    Args:
        model: a causal LM or a peft model around one.
        mask: int64 [B, T], 1 at tokens; None for a model with explicit positions, which need none behind the tokens.
        rows, columns: int64 [M].
    """
    lm = causal_lm(model)
    inputs = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
    if has_plain_head(lm):
        hidden = lm.get_decoder()(**inputs)[0]
        return lm.get_output_embeddings()(hidden[rows, columns])
    if "logits_to_keep" not in inspect.signature(lm.forward).parameters:
        return lm(**inputs).logits[rows, columns]
    kept, inverse = torch.unique(columns, return_inverse=True)
    return lm(**inputs, logits_to_keep=kept).logits[rows, inverse]


def response_loss(model: Any, batch: Batch, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of the target tokens of each example.

        loss[b] = - sum over target positions t of log p(token[b, t] | token[b, :t])

    If the model's forward does more than head(hidden), such as a final softcap or a scale of the logits, it is called
    with `logits_to_keep` at the positions that any row needs, or in full if it has no such argument.

    Args:
        model: a causal LM or a peft model around one.
        batch: B examples on the model's device.
        label_smoothing: share of each target's probability that is spread evenly over the vocabulary.

    Returns:
        float32 [B] sum of token losses in nats; int64 [B] number of target tokens.
    """
    rows, columns, targets = batch.targets()
    logits = logits_at(model, batch.input_ids, batch.attention_mask, rows, columns).float()
    losses = F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    sums = torch.zeros(len(batch.input_ids), device=losses.device).index_add(0, rows, losses)
    return sums, batch.response_mask[:, 1:].sum(1)
