"""leaderboard.json: every row of every page with what a reader needs to cite it or to run it again."""

from collections.abc import Mapping
from typing import Any


def leaderboard_rows(pages: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry per page, row and seed.

    Args:
        pages: results.json of each study by the name of its page.

    Returns:
        page, row, model, dataset, data_sha256, protocol, metrics, seed, command, commit, minutes, stage and engine;
        None where a page does not say it.
    """
    return [
        _entry(name, results, label, outcome)
        for name, results in sorted(pages.items())
        for label, outcomes in results.get("models", {}).items()
        for outcome in outcomes
        if outcome["status"] == "ok"
    ]


def _entry(name: str, results: Mapping[str, Any], label: str, outcome: Mapping[str, Any]) -> dict[str, Any]:
    row = outcome.get("row", {})
    dataset = row.get("dataset") or results["dataset"]
    metrics = {key: value for key, value in outcome.items() if isinstance(value, float) and _is_metric(key)}
    seconds = sum(value for stage, value in outcome["seconds"].items() if stage != "total")
    return {
        "page": name,
        "row": label,
        "model": row.get("model"),
        "dataset": dataset,
        "data_sha256": results["data"].get(dataset, {}).get("sha256"),
        "protocol": _protocol(results, row, outcome),
        "metrics": metrics,
        "seed": outcome["seed"],
        "command": results["command"],
        "commit": results.get("commit") or None,
        "minutes": round(seconds / 60, 2),
        "stage": row.get("stage"),
        "engine": row.get("engine"),
    }


def _protocol(results: Mapping[str, Any], row: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, str] | None:
    """That of the page, with the row's own split and masking, as the rows of one page may differ in both."""
    if not results.get("protocol"):
        return None
    own = {"split": row.get("keys", {}).get("split_by")}
    if "mask_history" in outcome:
        own["history"] = "masked" if outcome["mask_history"] else "not masked"
    return results["protocol"] | {key: value for key, value in own.items() if value is not None}


def _is_metric(key: str) -> bool:
    return "@" in key or key in ("mrr", "gauc")
