"""Writes the folder of a document: results.json, table.md, table.tex, one PNG per figure, report.html."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_llmfashion.files.changes import replace_files
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.study.report import figures, html, tables
from recbole_llmfashion.study.report.document import Document

_FILE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def write(folder: Path, document: Document, others: Mapping[str, bytes] | None = None) -> None:
    """Writes the files as one change, results.json last.

    Figures of an earlier document that this one does not have are removed.

    Args:
        folder: output folder; created if missing.
        document: the document.
        others: further files by name.

    Raises:
        UserError: another command is writing to the folder, or it cannot be written.
        ValueError: a number is nan or infinite, or the name of a figure is not a plain, unique file name.
    """
    names = [figure.name for figure in document.figures]
    for name in names:
        if not _FILE_WORD.fullmatch(name) or names.count(name) > 1:
            raise ValueError(f"figure '{name}': expected a unique name of letters, digits, - and _")
    value = document.as_json()
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    # JSON turns tuples into lists and keys into texts; the other files use the values as read back
    read_back = Document.from_json(json.loads(text))
    images = {f"{figure.name}.png": figures.png(figure) for figure in read_back.figures}
    files = {
        **(others or {}),
        "table.md": tables.markdown(read_back).encode(),
        "table.tex": tables.latex(read_back).encode(),
        **images,
        "report.html": html.page(read_back, images).encode(),
        "results.json": f"{text}\n".encode(),
    }
    replace_files(folder, files.items(), _figures(folder) - images.keys(), "--output")


def _figures(folder: Path) -> set[str]:
    """Figure files listed in an existing results.json; empty if it does not belong to a study."""
    try:
        value: Any = parse_json((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    listed = value.get("figures", []) if isinstance(value, Mapping) and "study" in value else []
    names = [str(figure["name"]) for figure in listed]
    return {f"{name}.png" for name in names if _FILE_WORD.fullmatch(name)}
