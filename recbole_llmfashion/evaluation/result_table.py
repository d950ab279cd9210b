"""Output files of a run: table.md, ranks.parquet and results.json; the terminal shows the same table.

The files change together, and results.json, which is renamed last, names the SHA-256 of the other two: whoever reads
them can check that they are of one run.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from recbole_llmfashion.evaluation.collector import RANK_COLUMNS
from recbole_llmfashion.evaluation.markdown import markdown_table
from recbole_llmfashion.evaluation.result import Result, masked_notes, model_entry
from recbole_llmfashion.files.changes import replace_files
from recbole_llmfashion.versions import versions

RANKS = "ranks.parquet"
COLUMNS = ("recall@10", "ndcg@10", "mrr@10", "mrr")


@dataclass(frozen=True)
class TableHeader:
    """Values shared by all rows of a table.

    Args:
        dataset, data_sha256: name and digest of the data.
        seeds: of the rows.
        command: the command line.
        time_order: figures on how far the order of the data can be that of time.
        warnings: about the data, one line each.
    """

    dataset: str
    data_sha256: str
    seeds: Sequence[int]
    command: str
    time_order: Mapping[str, float] | None = None
    warnings: Sequence[str] = ()


def table(run: TableHeader, results: Mapping[str, Result | str]) -> str:
    """The results as a Markdown table with notes below it.

    Args:
        run: values shared by all rows.
        results: results by model name; a text is the reason why a model failed.
    """
    succeeded = {name: result for name, result in results.items() if not isinstance(result, str)}
    tested = not succeeded or any(result.metrics for result in succeeded.values())
    columns = _columns([_shown(result, tested) for result in succeeded.values()])
    timed = any(result.ms_per_user is not None for result in succeeded.values())
    last = ["epochs", "minutes", *(["ms/user"] if timed else [])]
    rows, notes = [], []
    for name, result in results.items():
        if isinstance(result, str):
            rows.append([name, *("failed" for _ in columns), *("" for _ in last)])
            notes.append(f"{name} failed: {result}")
            continue
        shown = _shown(result, tested)
        cells = [f"{shown[column]:.4f}" if column in shown else "" for column in columns]
        rows.append([name, *cells, _epochs(result), _minutes(result), *([_per_user(result)] if timed else [])])
        notes += [*_epoch_notes(name, result), *_source_notes(name, result), *_validity_notes(name, result)]
    notes += _seen_notes(run.data_sha256, succeeded)
    notes += _tuned_notes(run.dataset, succeeded)
    notes += [*masked_notes(succeeded.values()), *run.warnings]
    rows_are = "Test rows" if tested else "Validation rows (there are no test rows)"
    mrr = "mrr is over the full catalogue, mrr@10 is RecBole's. " if tested else ""
    per_user = " ms/user: scoring the test rows in batches, with the responses of an LLM." if timed else ""
    notes += [
        f"{rows_are}: the final purchase of each user. {counting(succeeded.values())} {mrr}"
        f"minutes: all stages, including the time of reused ones.{per_user}",
        f"data sha256 {run.data_sha256[:16]}, seed {', '.join(map(str, run.seeds))}, command: {run.command}",
    ]
    lines = markdown_table([run.dataset, *columns, *last], rows)
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def masking(results: Iterable[Result]) -> str:
    """Whether the lists of some results leave out the items of the history: masked, not masked or both."""
    found = {bool(result.details.get("mask_history")) for result in results}
    if len(found) > 1:
        return "masked in some rows and not in others"
    return "masked" if found == {True} else "not masked"


def counting(results: Iterable[Result]) -> str:
    """How the metrics of a table count, as one sentence."""
    return f"A hit is the item itself, all items are ranked, history {masking(results)}."


def protocol(results: Iterable[Result]) -> dict[str, str]:
    """How the metrics of a table count, for results.json."""
    return {"hit": "item", "ranked": "all items", "history": masking(results)}


def _shown(result: Result, tested: bool) -> Mapping[str, float]:
    """The metrics that a row shows: of the test rows, or of the validation rows in a run without test rows."""
    return result.metrics if tested else result.valid


def _columns(metrics: Sequence[Mapping[str, float]]) -> list[str]:
    """Metric names: first those of COLUMNS, then all others in alphabetical order."""
    names = {name for one in metrics for name in one}
    return [name for name in COLUMNS if name in names] + sorted(names - set(COLUMNS))


def _epochs(result: Result) -> str:
    if "epochs" not in result.details:
        return ""
    return f"{result.details['epochs']} of {result.details['epochs_allowed']}"


def _epoch_notes(name: str, result: Result) -> list[str]:
    if "epochs" not in result.details or result.details["epochs"] < result.details["epochs_allowed"]:
        return []
    return [f"{name} ran all {result.details['epochs_allowed']} epochs that its YAML allows; more might improve it."]


def _source_notes(name: str, result: Result) -> list[str]:
    if "sources" not in result.details:
        return []
    shares = ", ".join(f"{source} {share:.1%}" for source, share in result.details["sources"].items())
    return [f"{name}, source of the first item of each list: {shares}."]


def _seen_notes(data_sha256: str, results: Mapping[str, Result]) -> list[str]:
    """Which rows use a backbone that has seen this data in its pre-training."""
    names = [name for name, result in results.items() if data_sha256 in result.details.get("backbone_seen", {})]
    if not names:
        return []
    return [f"Pre-trained on the training rows of this dataset too: the backbone of {', '.join(names)}."]


def _tuned_notes(dataset: str, results: Mapping[str, Result]) -> list[str]:
    """Which rows use tuned settings; empty if `use_tuned` is off."""
    tuned = {name: result.details["tuned"] for name, result in results.items() if "tuned" in result.details}
    return [
        f"{text}: {', '.join(names)}."
        for text, names in (
            (f"Tuned on validation (properties/tuned/{dataset}/)", [name for name in tuned if tuned[name]]),
            ("Not tuned (no such file)", [name for name in tuned if not tuned[name]]),
        )
        if names
    ]


def _minutes(result: Result) -> str:
    stages = sum(seconds for stage, seconds in result.seconds.items() if stage != "total")
    return f"{max(stages, result.seconds.get('total', 0.0)) / 60:.1f}"


def _per_user(result: Result) -> str:
    return "" if result.ms_per_user is None else f"{result.ms_per_user:.2f}"


def _validity_notes(name: str, result: Result) -> list[str]:
    if "generation" not in result.details:
        return []
    g, lists = result.details["generation"], result.details["lists"]
    return [
        f"{name}: well-formed responses {g['format_rate']:.3f}, existing IDs {g['valid_id_rate']:.3f}, IDs from the "
        f"prompt {g['in_prompt_rate']:.3f}, fallbacks {g['fallback_rate']:.3f}, prompts truncated "
        f"{g['prompts_truncated']}, quantized layers {g['quantized_layers']}, CLIP {g['clip']}, title pairs "
        f"{g['title_pairs']}.",
        f"{name}, each list alone, NDCG@10: ID list {lists['id'].get('ndcg@10', float('nan')):.4f}, title list "
        f"{lists['title'].get('ndcg@10', float('nan')):.4f}.",
    ]


def write(folder: Path, run: TableHeader, results: Mapping[str, Result | str]) -> None:
    """Writes ranks.parquet, table.md and results.json into a folder, as one change.

    Raises:
        UserError: another command is writing to the folder, or it cannot be written.
    """
    files: dict[str, bytes] = {}
    frames = [
        result.ranks.assign(model=name, seed=run.seeds[0])
        for name, result in results.items()
        if not isinstance(result, str)
    ]
    if frames:
        ranks = pd.concat(frames, ignore_index=True)[["model", "seed", *RANK_COLUMNS]]
        files[RANKS] = ranks.to_parquet(index=False)
    files["table.md"] = table(run, results).encode()
    document = {
        "dataset": run.dataset,
        "data_sha256": run.data_sha256,
        "time_order": run.time_order,
        "seeds": list(run.seeds),
        "protocol": protocol(result for result in results.values() if not isinstance(result, str)),
        "command": run.command,
        "versions": versions(),
        "models": {name: model_entry(result) for name, result in results.items()},
        "files_sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    stale = [] if frames else [RANKS]
    replace_files(folder, [*files.items(), ("results.json", text)], stale, "--output")
