"""What the converters' tests share."""

from pathlib import Path
from typing import Any

import pandas as pd
import typer
from typer.testing import CliRunner

from recbole_llmfashion.data.atomic import AtomicFolder, check_clean, folder_sha256, read_folder
from recbole_llmfashion.datasets.commands import register


def rows(frame: pd.DataFrame) -> list[list[Any]]:
    return frame.to_numpy(object).tolist()


def check_readme(folder: Path) -> AtomicFolder:
    """The folder, which must be clean and tell its own numbers and hash."""
    found = read_folder(folder)
    check_clean(found)
    text = (folder / "README.md").read_text()
    assert f"| users | {found.interactions['user_id'].nunique():,} |" in text
    assert f"`{folder_sha256(folder, folder.name)}`" in text
    assert f"| searches (unique queries) | {len(found.searches):,} (" in text
    return found


def invoke(*words: str) -> str:
    """`recbole-llmfashion convert ..`; its errors come through."""
    app = typer.Typer()
    register(app)
    result = CliRunner().invoke(app, ["convert", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output
