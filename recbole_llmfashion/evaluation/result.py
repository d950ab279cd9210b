"""What one model did on one dataset, and its entry in results.json."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd


@dataclass
class Result:
    """What one model did on one dataset with one seed.

    Args:
        metrics: of the test rows, RecBole's names in lower case, `mrr` the full-rank one.
        valid: of the validation rows, the same names without `mrr`.
        ranks: a row a test user: user and target tokens, the target's rank over the full catalogue, and `top`, the
            tokens of the first items of the list, as many as the largest of topk.
        seconds: by stage; of a stage that was already there, the seconds it took when it was made.
        reused: the stages that were already there.
        details: what only some models have.
    """

    metrics: dict[str, float]
    valid: dict[str, float]
    ranks: pd.DataFrame
    seconds: dict[str, float]
    reused: list[str]
    peak_memory_mb: float
    details: dict[str, Any] = field(default_factory=dict)


def model_entry(result: Result | str) -> dict[str, Any]:
    """A model's part of results.json; a text is the reason why it failed."""
    if isinstance(result, str):
        return {"status": f"failed: {result}"}
    return {
        "status": "ok",
        **result.metrics,
        "valid": result.valid,
        "seconds": {stage: round(seconds, 3) for stage, seconds in result.seconds.items()},
        "stages_reused": result.reused,
        "peak_memory_mb": round(result.peak_memory_mb, 1),
        **result.details,
    }
