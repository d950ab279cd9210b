"""What docs/results gets of a finished study, and the files that are made from all pages."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.row_files import RowFiles
from recbole_llmfashion.files.changes import replace_files
from recbole_llmfashion.quick_start.engine import engine_digest
from recbole_llmfashion.study.pages.claims import claims_page
from recbole_llmfashion.study.pages.leaderboard import leaderboard_rows
from recbole_llmfashion.study.pages.listed import Page
from recbole_llmfashion.study.pages.state import read_results
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.study.report.write import write

NOT_KEPT = ("report.html", "ranks.parquet")
BEGIN, END = "<!-- pages: written by benchmarks/results.py -->", "<!-- end of pages -->"
CLAIMS, LEADERBOARD = "claims.md", "leaderboard.json"
ROWS = "rows"


def publish(source: Path, target: Path, commit: str) -> None:
    """Writes a page from the folder of a finished study; report.html and ranks.parquet stay where they are.

    Args:
        source: the output folder of the study.
        target: the folder of the page.
        commit: of the checkout that ran it.
    """
    document = Document.from_json(json.loads((source / "results.json").read_text(encoding="utf-8")))
    write(target, replace(document, commit=commit))
    for name in NOT_KEPT:
        (target / name).unlink(missing_ok=True)


def stale_row_files(folder: Path) -> list[str]:
    """Names of the row files of another engine than today's.

    Args:
        folder: docs/results/rows.

    Raises:
        UserError: a file is not a row.
    """
    rows = RowFiles(folder).engines()
    return [f"{stage}.json" for stage, (model, engine) in rows.items() if engine != engine_digest(model)]


def remove_stale_rows(folder: Path) -> list[str]:
    """Removes the row files of another engine, which no study reads any more; returns their names."""
    names = stale_row_files(folder)
    for name in names:
        (folder / name).unlink()
    return names


def rewrite_overviews(root: Path, pages: Sequence[Page]) -> list[str]:
    """Writes leaderboard.json, claims.md and the list of pages in README.md, where they change.

    Args:
        root: docs/results.
        pages: of the list, in its order.

    Returns:
        the names of the files that changed.

    Raises:
        UserError: README.md lacks the two lines that the list of pages is between.
    """
    found = {page.name: results for page in pages if (results := read_results(root / page.name)) is not None}
    files = {
        LEADERBOARD: f"{json.dumps(leaderboard_rows(found), indent=1, ensure_ascii=False)}\n",
        "README.md": _with_list((root / "README.md").read_text(encoding="utf-8"), pages, found, root),
    }
    claims = {name: results for name, results in found.items() if results["study"] == "reproduce"}
    if claims:
        files[CLAIMS] = claims_page(claims)
    changed = {name: text for name, text in files.items() if _text_of(root / name) != text}
    if changed:
        replace_files(root, list(changed.items()), [], "docs/results")
    return list(changed)


def _text_of(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _with_list(readme: str, pages: Sequence[Page], found: Mapping[str, Any], root: Path) -> str:
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{root / 'README.md'}: expected the lines '{BEGIN}' and '{END}'; put them around the list")
    lines = [
        f"| `{page.name}` ([table]({page.name}/table.md)) | {page.about} |" for page in pages if page.name in found
    ]
    claims = ["", "[claims.md](claims.md) has the paper's claims on every dataset."]
    shown = claims if any(results["study"] == "reproduce" for results in found.values()) else []
    return f"{before}{begin}\n" + "\n".join(["| folder | contents |", "|---|---|", *lines, *shown]) + f"\n{end}{after}"
