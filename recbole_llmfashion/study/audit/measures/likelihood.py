"""How likely a causal LM finds a part of a text, and whether it says this part word for word."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from recbole_llmfashion.llm.batching import each_batch, left_pad
from recbole_llmfashion.llm.generation.cached_forward.causal_lm import CausalLMRunner

BATCH = 16


@dataclass(frozen=True)
class Span:
    """A part of a text.

    Args:
        ids: int32 [T] token ids of the text up to the end of the part.
        length: tokens of the part, which ends the text; below T.
    """

    ids: np.ndarray
    length: int

    def __post_init__(self) -> None:
        if not 0 < self.length < len(self.ids):
            raise ValueError("a part needs a token, and a token before it")


@dataclass(frozen=True)
class Scores:
    """Of n spans.

    Args:
        log_likelihood: float64 [n], natural logarithm of the part's probability after what precedes it.
        said: bool [n], whether the likeliest token is the part's own at each of its places: greedy decoding says it.
    """

    log_likelihood: np.ndarray
    said: np.ndarray


def score(lm: CausalLMRunner, spans: Sequence[Span], show_progress: bool = False) -> Scores:
    """Scores parts of texts.

    Raises:
        UserError: not even one text fits into the memory of the GPU.
    """
    found, said = np.zeros(len(spans)), np.zeros(len(spans), bool)

    def process(chosen: np.ndarray) -> None:
        parts = [spans[i] for i in chosen]
        ids, mask = (array.to(lm.device) for array in left_pad([part.ids for part in parts], lm.pad_id))
        keep = max(part.length for part in parts) + 1
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = lm.forward(ids, mask, positions, lm.share(ids[0, :0].cpu().numpy()), keep)[:, :-1].float()
        targets = ids[:, 1 - keep :]
        lengths = torch.tensor([[part.length] for part in parts], device=lm.device)
        inside = torch.arange(keep - 1, device=lm.device) >= keep - 1 - lengths
        likely = torch.log_softmax(logits, -1).gather(-1, targets[..., None])[..., 0].double()
        found[chosen] = likely.where(inside, 0.0).sum(1).cpu().numpy()
        said[chosen] = ((logits.argmax(-1) == targets) | ~inside).all(1).cpu().numpy()

    lm.model.eval()
    with torch.no_grad():
        each_batch([len(span.ids) for span in spans], BATCH, process, show_progress)
    return Scores(found, said)
