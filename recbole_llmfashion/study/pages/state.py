"""Whether a page shows the rows that its command would make today, by the names of their stages.

results.json has of each row its stage, its model and its keys. From these and from the digest of the data the name of
the stage is computed again. The data itself is not needed; where it is there, its digest is compared too.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.study.pages.listed import Page
from recbole_llmfashion.study.request import StudyRequest
from recbole_llmfashion.study.runner import Entry, Runner

CURRENT, MISSING, UNKNOWN = "current", "missing", "digest unknown"
PLACES = ("--output", "--data_path", "--checkpoint_dir", "--rows_path", "--show_progress")


class _KnownData(Runner):
    """Computes names of stages without the data.

    Args:
        request: dataset and keys.
        digests: SHA-256 of the data by dataset.
    """

    def __init__(self, request: StudyRequest, digests: Mapping[str, str]) -> None:
        super().__init__(request)
        self._hashes = dict(digests)


def read_results(folder: Path) -> dict[str, Any] | None:
    """results.json of a page; None where there is none."""
    path = folder / "results.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    return found


def _rows(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(label, outcome) for label, outcomes in results["models"].items() for outcome in outcomes]


def stale_rows(results: Mapping[str, Any]) -> list[str] | None:
    """The labels of a page whose rows the engine of today would not make; None where a row names no stage.

    Args:
        results: of a study, as in results.json.
    """
    rows = _rows(results)
    if not all("row" in outcome for _, outcome in rows):
        return None
    settings = dict(results["settings"])
    files = tuple(settings.pop("config_files", ()))
    models = tuple(dict.fromkeys(outcome["row"]["model"] for _, outcome in rows))
    dataset = next(iter(results["data"]))
    request = StudyRequest(results["study"], dataset, models, len(results["seeds"]), Path(), files, {}, settings, "")
    runner = _KnownData(request, {name: facts["sha256"] for name, facts in results["data"].items()})

    def today(outcome: Mapping[str, Any]) -> str:
        row = outcome["row"]
        return runner.row_stage(Entry("", row["model"], row["keys"], row["dataset"]), outcome["seed"])

    found = [label for label, outcome in rows if today(outcome) != outcome["row"]["stage"]]
    return list(dict.fromkeys(found))


def page_state(page: Page, folder: Path, data_path: Path | None = None) -> str:
    """`current`, `missing`, `digest unknown`, or why the page is stale, in one line.

    Args:
        page: of the list.
        folder: holds its results.json.
        data_path: the folder of the datasets, if they are here.
    """
    results = read_results(folder)
    if results is None:
        return MISSING
    rows = stale_rows(results)
    if rows is None:
        return UNKNOWN
    if rows:
        return f"stale: {len(rows)} of {len(results['models'])} rows are of another engine, first {rows[0]}"
    if words_of(results["command"]) != frozenset(page.words):
        return "stale: the list has another command"
    for name, facts in results["data"].items():
        here = data_path / name if data_path else None
        if here and here.is_dir() and folder_sha256(here, name) != facts["sha256"]:
            return f"stale: {name} is other data"
    failed = [label for label, outcome in _rows(results) if outcome["status"] != "ok"]
    return f"incomplete: {failed[0]} failed" if failed else CURRENT


def words_of(command: str) -> frozenset[str]:
    """The options and keys of a study's command line, without places.

    >>> sorted(words_of("recbole-llmfashion study compare --dataset=a --output=b --seeds 1"))
    ['--dataset=a', '--seeds=1']
    """
    words = shlex.split(command)
    first = next((at for at, word in enumerate(words) if word.startswith("--")), len(words))
    joined: list[str] = []
    for word in words[first:]:
        if word.startswith("--"):
            joined.append(word)
        elif joined:
            joined[-1] += f"={word}"
    return frozenset(word for word in joined if word.partition("=")[0] not in PLACES)
