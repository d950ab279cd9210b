"""A document's folder: results.json, table.md, table.tex, a PNG a figure, report.html. Says nothing of its own."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_llmfashion.stage_store import write_files
from recbole_llmfashion.study.report import figures, html, tables
from recbole_llmfashion.study.report.document import Document

_FILE_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def write(folder: Path, document: Document) -> None:
    """Writes the files, results.json first.

    A kill leaves each file complete, old or new. Figures of an earlier document that this one lacks are removed.

    Raises:
        ValueError: a number that JSON does not hold (nan, inf), or a figure's name that is no plain file name.
    """
    names = [figure.name for figure in document.figures]
    for name in names:
        if not _FILE_WORD.fullmatch(name) or names.count(name) > 1:
            raise ValueError(f"figure '{name}': expected a name of its own of letters, digits, - and _")
    value = document.as_json()
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    # tuples and keys that are no text become what a reader of the file will find
    read_back = Document.from_json(json.loads(text))
    images = {f"{figure.name}.png": figures.png(figure) for figure in read_back.figures}
    files = {
        "results.json": f"{text}\n".encode(),
        "table.md": tables.markdown(read_back).encode(),
        "table.tex": tables.latex(read_back).encode(),
        **images,
        "report.html": html.page(read_back, images).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    stale = _figures(folder) - images.keys()
    write_files((folder / name, content) for name, content in files.items())
    for name in stale:
        (folder / name).unlink(missing_ok=True)


def _figures(folder: Path) -> set[str]:
    """Files of the figures that results.json names; none where it is not a study's."""
    try:
        value: Any = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    found = value.get("figures", []) if isinstance(value, Mapping) and "study" in value else []
    names = [str(figure["name"]) for figure in found]
    return {f"{name}.png" for name in names if _FILE_WORD.fullmatch(name)}
