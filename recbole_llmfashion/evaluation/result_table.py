"""A run on paper: table.md, ranks.parquet, results.json, and the same table for the terminal.

Every number stands beside the command, the seed and the data hash that made it. This module trains and scores nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from recbole_llmfashion.evaluation.collector import RANK_COLUMNS
from recbole_llmfashion.evaluation.result import Result, model_entry
from recbole_llmfashion.versions import versions

COLUMNS = ("recall@10", "ndcg@10", "mrr@10", "mrr")


@dataclass(frozen=True)
class TableHeader:
    """What all rows of a table share."""

    dataset: str
    data_sha256: str
    seeds: Sequence[int]
    command: str


def table(run: TableHeader, results: Mapping[str, Result | str]) -> str:
    """The table in Markdown, with what a reader must know below it."""
    columns = [name for name in COLUMNS if any(not isinstance(r, str) and name in r.metrics for r in results.values())]
    others = sorted({m for r in results.values() if not isinstance(r, str) for m in r.metrics} - set(columns))
    columns += others
    lines = [f"| {run.dataset} | {' | '.join(columns)} | epochs | minutes |", "|---|" + "---|" * (len(columns) + 2)]
    notes = []
    for name, result in results.items():
        if isinstance(result, str):
            lines.append(f"| {name} | {' | '.join('failed' for _ in columns)} | | |")
            notes.append(f"{name} failed: {result}")
            continue
        cells = [f"{result.metrics[column]:.4f}" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {_epochs(result, name, notes)} | {_minutes(result)} |")
        if "sources" in result.details:
            shares = ", ".join(f"{source} {share:.1%}" for source, share in result.details["sources"].items())
            notes.append(f"{name}, what led the list of each row: {shares}.")
        notes += _validity_notes(name, result)
    notes += _tuned_notes(run.dataset, results)
    masked = "" if any(not isinstance(r, str) and r.details.get("mask_history") for r in results.values()) else "not "
    notes += [
        f"Test rows: the final purchase of each user among all items, history {masked}masked. mrr is over the full "
        "catalogue, mrr@10 is RecBole's. minutes: all stages when they were made.",
        f"data sha256 {run.data_sha256[:16]}, seed {', '.join(map(str, run.seeds))}, command: {run.command}",
    ]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def _epochs(result: Result, name: str, notes: list[str]) -> str:
    if "epochs" not in result.details:
        return ""
    run, allowed = result.details["epochs"], result.details["epochs_allowed"]
    if run >= allowed:
        notes.append(f"{name} is bounded: it ran all {allowed} epochs that its YAML allows.")
    return f"{run} of {allowed}"


def _tuned_notes(dataset: str, results: Mapping[str, Result | str]) -> list[str]:
    """Which rows a search has tuned; nothing where tuned settings were not asked for."""
    found = {name: r.details["tuned"] for name, r in results.items() if not isinstance(r, str) and "tuned" in r.details}
    return [
        f"{said}: {', '.join(names)}."
        for said, names in (
            (f"Tuned on validation, by properties/tuned/{dataset}/", [name for name in found if found[name]]),
            ("Not tuned, for there is no such file", [name for name in found if not found[name]]),
        )
        if names
    ]


def _minutes(result: Result) -> str:
    stages = sum(seconds for stage, seconds in result.seconds.items() if stage != "total")
    return f"{max(stages, result.seconds.get('total', 0.0)) / 60:.1f}"


def _validity_notes(name: str, result: Result) -> list[str]:
    if "generation" not in result.details:
        return []
    g, lists = result.details["generation"], result.details["lists"]
    return [
        f"{name}: well-formed answers {g['format_rate']:.3f}, IDs that exist {g['valid_id_rate']:.3f}, IDs that stand "
        f"in the prompt {g['in_prompt_rate']:.3f}, fallbacks {g['fallback_rate']:.3f}, prompts truncated "
        f"{g['prompts_truncated']}, quantized layers {g['quantized_layers']}, CLIP {g['clip']}, title pairs "
        f"{g['title_pairs']}.",
        f"{name}, each list alone, NDCG@10: ID list {lists['id'].get('ndcg@10', float('nan')):.4f}, title list "
        f"{lists['title'].get('ndcg@10', float('nan')):.4f}.",
    ]


def write(folder: Path, run: TableHeader, results: Mapping[str, Result | str]) -> None:
    """Writes table.md, results.json and ranks.parquet into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(table(run, results), encoding="utf-8")
    document = {
        "dataset": run.dataset,
        "data_sha256": run.data_sha256,
        "seeds": list(run.seeds),
        "command": run.command,
        "versions": versions(),
        "models": {name: model_entry(result) for name, result in results.items()},
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "results.json").write_text(text, encoding="utf-8")
    frames = [
        result.ranks.assign(model=name, seed=run.seeds[0])
        for name, result in results.items()
        if not isinstance(result, str)
    ]
    if frames:
        ranks = pd.concat(frames, ignore_index=True)[["model", "seed", *RANK_COLUMNS]]
        ranks.to_parquet(folder / "ranks.parquet", index=False)
