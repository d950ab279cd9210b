"""Tables of benchmarks/smollm2.py: the rows, and which differences between them are more than the choice of users."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from recbole_llmfashion.evaluation.significance import compare_rows

# the rows that each row is compared with: does the model read the text, and does its size pay?
PAIRS = {
    "ids": ("random", "falcon"),
    "titles": ("ids", "shuffled", "falcon", "TextKNN"),
    "paper": ("ids", "falcon", "TextKNN"),
}


def table(rows: Mapping[str, Mapping[str, Any]], notes: Sequence[str]) -> str:
    """The rows as Markdown, with notes below."""
    lines = [
        "| row | Recall@10 | NDCG@10 | valid NDCG@10 | badly formatted: before, phase 1, end | adapter min | minutes |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    for name, row in rows.items():
        if "recall@10" not in row:
            lines.append(f"| {name} | {row['stopped']} | | | | | |")
            continue
        valid = "" if row["valid_ndcg@10"] is None else f"{row['valid_ndcg@10']:.4f}"
        shares = row["format_failures"]
        broken = ", ".join(
            f"{shares[step]:.1%}" for step in ("before", "after_uniform", "after_hard") if step in shares
        )
        times = f"{row['adapter_minutes']:.1f} | {row['minutes']:.1f}"
        lines.append(f"| {name} | {row['recall@10']:.4f} | {row['ndcg@10']:.4f} | {valid} | {broken} | {times} |")
    notes = [*list_notes(rows), *notes]
    return "\n".join([*lines, "", *comparison_lines(rows), *(f"- {note}" for note in notes)]) + "\n"


def list_notes(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """NDCG@10 of each list that the row `paper` joins; the lists of other rows are of models of one epoch."""
    lists = rows.get("paper", {}).get("lists", {})
    values = ", ".join(f"{name} {value:.4f}" for name, value in lists.items())
    return [f"Lists of `paper` alone, NDCG@10: {values}."] if lists else []


def comparison_lines(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """NDCG@10 of PAIRS, user by user, as a Markdown table; nothing where no pair has run on the same test rows."""
    lines = []
    for name, others in PAIRS.items():
        done = [other for other in others if name in rows and _same_users(rows[name], rows.get(other, {}))]
        if not done:
            continue
        ranks = pd.concat([_frame(row, rows[row]["ranks"]) for row in (name, *done)])
        for pair in compare_rows(ranks, name, done, "ndcg@10"):
            interval = f"{pair.low:+.4f} to {pair.high:+.4f}"
            lines.append(f"| {name} - {pair.other} | {pair.difference:+.4f} | {interval} | {pair.p_holm:.2g} |")
    head = ["| NDCG@10 | difference | 95 % interval over users | p (randomization test, Holm) |", "|---|---:|---|---:|"]
    return [*head, *lines, ""] if lines else []


def _same_users(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return len(one.get("ranks", ())) == len(other.get("ranks", ())) > 1


def _frame(model: str, ranks: Sequence[int]) -> pd.DataFrame:
    """Ranks in the order of the users, which is the same for every row."""
    return pd.DataFrame({"model": model, "seed": 0, "user": range(len(ranks)), "target": 0, "rank": ranks})


def last_line(dataset: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """One JSON object: Recall@10, NDCG@10 and minutes of each finished row, and which rows are not finished."""
    done = {name: row for name, row in rows.items() if "recall@10" in row}
    numbers = {name: [row["recall@10"], row["ndcg@10"], round(row["minutes"], 2)] for name, row in done.items()}
    return json.dumps(
        {"dataset": dataset, "rows": numbers, "not_finished": [name for name in rows if name not in done]}
    )
