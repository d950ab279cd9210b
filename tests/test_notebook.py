"""The notebook: no outputs are stored, every cell is Python, and all cells run from top to bottom."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
# What Jupyter does: the cells in order in one namespace; the last expression of a cell is displayed.
RUN = """
import ast, json, sys
names = {"__name__": "__main__"}
for number, source in enumerate(json.load(open(sys.argv[1]))):
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"cell {number}", "exec"), names)
    if last is not None:
        print(repr(eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)))
print("metrics", json.dumps(names["rows"]))
print("lines", len(names["lines"]), len(names["served"]))
"""


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code(path):
    return ["".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "code"]


def test_there_is_one():
    assert [path.name for path in NOTEBOOKS] == ["first_run.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_clean(path):
    """Version 4.5 of the format: outputs would go stale and may hold paths."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        own = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | own and cell["metadata"] == {}
        assert not own or (cell["execution_count"] is None and cell["outputs"] == [])
    for source in code(path):
        ast.parse(source)  # no magic, which only IPython runs
    for cell in notebook["cells"]:
        for link in re.findall(r"\]\(([^)#]+)\)", "".join(cell["source"])):
            assert (path.parent / link).is_file(), link


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_top_to_bottom(path, tmp_path):
    """In a new process and an empty folder; its own sizes are small."""
    (tmp_path / "cells.json").write_text(json.dumps(code(path)))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUN, "cells.json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    metrics = json.loads(re.search(r"^metrics (.*)$", done.stdout, re.M)[1])
    assert metrics["LLMFashionRec"]["ndcg@10"] > metrics["Popularity"]["ndcg@10"]
    assert "lines 5 5" in done.stdout and (tmp_path / "export/README.md").is_file()
