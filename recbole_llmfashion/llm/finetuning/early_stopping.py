"""Early stopping: the trained parameters of the best epoch by validation, and when to stop."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

_BEST = "best."  # of the names of its tensors in a checkpoint


class EarlyStopping:
    """Compares epochs by a score, higher is better; of equal scores the first is the best.

    Args:
        parameters: those that train.
        patience: number of epochs without a better score after which `stop` is True; 0 for no validation.

    Attributes:
        scores: one for each epoch so far.
    """

    def __init__(self, parameters: Sequence[Parameter], patience: int) -> None:
        self._parameters, self.patience = parameters, patience
        self.scores: list[float] = []
        self._best: list[Tensor] = []

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, from 1; 0 before the first score."""
        return 1 + max(range(len(self.scores)), key=self.scores.__getitem__) if self.scores else 0

    @property
    def stop(self) -> bool:
        """Whether `patience` epochs in a row were not better than the best one."""
        return self.patience > 0 and len(self.scores) - self.best_epoch >= self.patience

    def add(self, score: float) -> None:
        """Takes the score of the epoch that has just ended."""
        self.scores.append(score)
        if self.best_epoch == len(self.scores):
            self._best = [parameter.detach().clone() for parameter in self._parameters]

    @torch.no_grad()
    def restore(self) -> None:
        """Gives the parameters the values of the best epoch; without a score they stay."""
        if self._best:
            for parameter, value in zip(self._parameters, self._best, strict=True):
                parameter.copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """The values of the best epoch, for a checkpoint."""
        return {f"{_BEST}{i}": value for i, value in enumerate(self._best)}

    def load(self, tensors: Mapping[str, Tensor], scores: Sequence[float]) -> None:
        """Takes the state of a checkpoint, from all tensors in it."""
        self.scores = list(scores)
        if self.scores:
            self._best = [tensors[f"{_BEST}{i}"].to(one.device) for i, one in enumerate(self._parameters)]


def other_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a checkpoint without those of EarlyStopping."""
    return {name: value for name, value in tensors.items() if not name.startswith(_BEST)}
