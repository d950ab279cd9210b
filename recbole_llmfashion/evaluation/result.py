"""The result of one model on one dataset, its entry in results.json, and its files in the stage store."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

BEYOND = ("ItemCoverage", "GiniIndex", "AveragePopularity")  # RecBole's metrics of the lists, without their targets


@dataclass
class Result:
    """The result of one model on one dataset with one seed.

    Args:
        metrics: test metrics by RecBole's names in lower case; `mrr` is over the full catalogue.
        valid: validation metrics, by the same names without `mrr`.
        ranks: one row per test user: user and target tokens, the target's rank over the full catalogue, and `top`, the
            tokens of the first max(topk) items of the list.
        seconds: seconds per stage; for a reused stage, the time it took when it was computed.
        reused: names of the reused stages.
        peak_memory_mb: peak resident memory in MB while the row ran, of this process and of its background ones.
        details: model-specific entries.
        ms_per_user: milliseconds per test row: scoring all of them in batches, generated responses included; None
            without test rows.
    """

    metrics: dict[str, float]
    valid: dict[str, float]
    ranks: pd.DataFrame
    seconds: dict[str, float]
    reused: list[str]
    peak_memory_mb: float
    details: dict[str, Any] = field(default_factory=dict)
    ms_per_user: float | None = None


def model_entry(result: Result | str) -> dict[str, Any]:
    """The entry of a model in results.json.

    Args:
        result: the result, or the reason why the model failed.

    Example:
        >>> model_entry("ValueError: no")
        {'status': 'failed: ValueError: no'}
    """
    if isinstance(result, str):
        return {"status": f"failed: {result}"}
    return {
        "status": "ok",
        **result.metrics,
        "valid": result.valid,
        "seconds": {stage: round(seconds, 3) for stage, seconds in result.seconds.items()},
        "stages_reused": result.reused,
        "peak_memory_mb": round(result.peak_memory_mb, 1),
        **({} if result.ms_per_user is None else {"ms_per_user": round(result.ms_per_user, 3)}),
        **result.details,
    }


def masked_line(rows: Mapping[str, Any]) -> str:
    """Says how many test targets `mask_history` leaves out of the ranking; empty where none.

    Args:
        rows: the numbers of rows of a result's details.

    >>> masked_line({"test": 10, "test_masked": 4})[:48]
    "4 of 10 test targets are in the user's own histo"
    """
    if not rows.get("test_masked"):
        return ""
    return (
        f"{rows['test_masked']:,} of {rows['test']:,} test targets are in the user's own history, which mask_history "
        "leaves out of the ranking: they cannot be found"
    )


def masked_notes(results: Iterable[Result]) -> list[str]:
    """The lines of `masked_line` of some results, each once."""
    lines = (masked_line(result.details.get("rows", {})) for result in results)
    return [f"{line}." for line in dict.fromkeys(lines) if line]


def save_result(folder: Path, result: Result) -> None:
    """Writes a result as result.json and ranks.parquet."""
    result.ranks.to_parquet(folder / "ranks.parquet", index=False)
    fields = {name: value for name, value in vars(result).items() if name != "ranks"}
    (folder / "result.json").write_text(json.dumps(fields, indent=1), encoding="utf-8")


def load_result(folder: Path) -> Result:
    """Reads what `save_result` wrote."""
    fields = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Result(ranks=pd.read_parquet(folder / "ranks.parquet"), **fields)
