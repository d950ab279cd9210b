"""Output files of a search: table.md, trials.parquet and best.yaml, rewritten from the trial log after each trial."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from recbole_llmfashion.evaluation.markdown import markdown_table
from recbole_llmfashion.files.changes import replace_files
from recbole_llmfashion.tuning.trial_log import FAILED, STOPPED, Trial, TrialLog
from recbole_llmfashion.versions import versions

SETTINGS = "search.json"


@dataclass(frozen=True)
class Header:
    """Description of a search.

    Args:
        model: name of the model.
        dataset: name of the dataset.
        metric: name of the validation metric, as in valid_metric.
        bigger: whether larger values are better.
        trials: number of requested trials.
        default: default values of the searched keys; None if they are outside the space.
        command: the command line.
        data_sha256: hash of the dataset.
        seed: random seed.
    """

    model: str
    dataset: str
    metric: str
    bigger: bool
    trials: int
    default: Mapping[str, Any] | None
    command: str
    data_sha256: str
    seed: int


def table(header: Header, journal: TrialLog, keys: Sequence[str]) -> str:
    """The trials as a Markdown table, best first.

    Args:
        header: description of the search.
        journal: the trials.
        keys: searched keys, in column order.
    """
    sign = -1 if header.bigger else 1
    best = journal.best(header.bigger)
    order = {"": 3, FAILED: 2, STOPPED: 1}
    trials = sorted(
        journal.trials.values(),
        key=lambda t: (order.get(t.status, 0), sign * t.value if t.value == t.value else 0.0, t.number),
    )
    rows = [
        [
            *(_name(trial, header, best), _value(trial), _status(trial), str(len(trial.reports))),
            *(f"{trial.seconds / 60:.1f}", *(_text(trial.keys[key]) for key in keys)),
        ]
        for trial in trials
    ]
    titles = ["trial", f"{header.metric} (validation)", "status", "reports", "minutes", *keys]
    notes = [_verdict(header, journal, best)]
    notes += [f"trial {t.number} failed: {t.details['error']}" for t in journal.ended() if t.status == FAILED]
    notes += [
        "Values are on validation rows; no trial reads a test row. The value of a stopped trial is its last report.",
        f"data sha256 {header.data_sha256[:16]}, seed {header.seed}, command: {header.command}",
    ]
    return "\n".join([*markdown_table(titles, rows), "", *(f"- {note}" for note in notes)]) + "\n"


def _name(trial: Trial, header: Header, best: Trial | None) -> str:
    marks = [mark for mark, applies in (("best", trial is best), ("default", trial.keys == header.default)) if applies]
    return f"{trial.number} ({', '.join(marks)})" if marks else str(trial.number)


def _value(trial: Trial) -> str:
    return f"{trial.value:.4f}" if trial.value == trial.value else ""


def _status(trial: Trial) -> str:
    if not trial.status:
        return "did not end"
    return f"stopped after report {len(trial.reports)}" if trial.status == STOPPED else trial.status


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _verdict(header: Header, journal: TrialLog, best: Trial | None) -> str:
    ended = _ended(header, journal)
    if best is None:
        return f"{ended}; none finished, so there is no best.yaml."
    default = _default_trial(header, journal)
    comparison = f", the defaults have {default.value:.4f} ({_status(default)})" if default else ""
    return f"{ended}; best: trial {best.number} with {header.metric} {best.value:.4f}{comparison}."


def _ended(header: Header, journal: TrialLog) -> str:
    return f"{len(journal.ended())} of {header.trials} trials ended in {journal.elapsed() / 60:.1f} minutes"


def _default_trial(header: Header, journal: TrialLog) -> Trial | None:
    return next((t for t in journal.ended() if t.keys == header.default and t.value == t.value), None)


def frame(journal: TrialLog) -> pd.DataFrame:
    """One row per trial: number, status, value, reports, cost, and the searched keys as columns `key/<name>`."""
    rows = []
    for trial in journal.trials.values():
        details = trial.details
        row: dict[str, Any] = {
            "trial": trial.number,
            "status": trial.status or "did not end",
            "value": trial.value,
            "reports": len(trial.reports),
            "seconds": trial.seconds,
            "error": details.get("error"),
            "threads": details.get("threads"),
            "peak_memory_mb": details.get("peak_memory_mb"),
            "stages_reused": json.dumps(details.get("stages_reused", [])),
            "stage_seconds": json.dumps(details.get("stage_seconds", {})),
        }
        row |= {f"valid/{name}": value for name, value in details.get("valid", {}).items()}
        # a key may be a number in one trial and a text in another, but a Parquet column has one type
        rows.append(row | {f"key/{key}": json.dumps(value) for key, value in trial.keys.items()})
    return pd.DataFrame(rows)


def best_yaml(header: Header, journal: TrialLog) -> str:
    """The keys of the best trial as YAML for --config_files; empty if no trial finished."""
    best = journal.best(header.bigger)
    if best is None:
        return ""
    installed, default = versions(), _default_trial(header, journal)
    score = f"{header.metric} {best.value:.4f} (trial {best.number}) on validation rows"
    comments = [
        f"# {header.model} on {header.dataset}: {score}" + (f", defaults {default.value:.4f}" if default else ""),
        f"# {_ended(header, journal)}",
        f"# {header.command}",
        f"# data sha256 {header.data_sha256[:16]}, seed {header.seed}, "
        + ", ".join(f"{name} {installed[name]}" for name in ("recbole_llmfashion", "recbole", "torch")),
    ]
    return "\n".join(comments) + "\n" + yaml.safe_dump(best.keys, sort_keys=False)


def write(folder: Path, header: Header, journal: TrialLog, keys: Sequence[str]) -> None:
    """Writes table.md, trials.parquet, best.yaml if a trial finished, and one error file per failed trial.

    The files change together.
    """
    files: dict[str, str | bytes] = {
        "table.md": table(header, journal, keys),
        "trials.parquet": frame(journal).to_parquet(index=False),
    }
    best = best_yaml(header, journal)
    if best:
        files["best.yaml"] = best
    for trial in journal.ended():
        if trial.status == FAILED:
            text = trial.details.get("traceback") or trial.details["error"]
            files[f"trial_{trial.number}_error.txt"] = text
    replace_files(folder, files.items(), option="--output")
