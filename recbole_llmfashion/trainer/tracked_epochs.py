"""What RecBole's Trainer measures in each epoch, for a Track. Names are those of RecBole's Weights & Biases logger."""

from time import perf_counter
from typing import Any

from recbole_llmfashion.data.loaders import rows_of
from recbole_llmfashion.tracking import Track


class TrackedEpochs:
    """Mixed in before a Trainer of RecBole.

    Attributes:
        track: gets `train/..` after each epoch, and `valid/..` after each validation, by number of the epoch.
    """

    track: Track
    _epoch = 0

    def _train_epoch(self, train_data: Any, epoch_idx: int, *args: Any, **kwargs: Any) -> Any:
        start = perf_counter()
        loss = super()._train_epoch(train_data, epoch_idx, *args, **kwargs)  # type: ignore[misc]
        seconds = perf_counter() - start
        self._epoch = epoch_idx
        values = {
            "train/epoch": epoch_idx,
            "train/train_loss": sum(loss) if isinstance(loss, tuple) else loss,
            "train/learning_rate": self.optimizer.param_groups[0]["lr"],  # type: ignore[attr-defined]
            "train/rows_per_second": len(rows_of(train_data)) / seconds,
        }
        self.track(epoch_idx, {name: float(value) for name, value in values.items()})
        return loss

    def _valid_epoch(self, *args: Any, **kwargs: Any) -> Any:
        score, result = super()._valid_epoch(*args, **kwargs)  # type: ignore[misc]
        self.track(self._epoch, {f"valid/{name}": float(value) for name, value in result.items()})
        return score, result
