"""docs/architecture.md is the tree as it is; every message of a UserError is one line that names something."""

import ast
import re
from pathlib import Path

from tests.test_architecture import ROWS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "recbole_llmfashion"
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
GAP = "…"
# A filled-in value, an option, a quoted name, a key with an underscore, or up to three words and a colon at the start.
NAME = re.compile(rf"{GAP}|--[a-z]|[`'][^`']+[`']|[a-z]_[a-z]|^[\w-]+( [\w-]+){{0,2}}: ")


def text_of(node: ast.expr) -> str:
    """The text of an expression, with `…` for each value that is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return GAP


def messages(source: str) -> list[str]:
    """The message of each UserError that a module makes."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    names = ("UserError", "NotFiniteError")
    return [text_of(call.args[0]) for call in calls if isinstance(call.func, ast.Name) and call.func.id in names]


def test_a_message_names_something():
    source = 'def f(x):\n    raise UserError(f"{x}: not " + "there" + hint)\n'
    assert messages(source) == ["…: not there…"]
    good = ["…: not there", "add --reviews FILE", "num_beams: expected 0 or more", "use `llm_epochs`"]
    assert all(NAME.search(text) for text in good)
    assert not any(NAME.search(text) for text in ("something is wrong", "the value must be positive"))


def test_every_message_is_one_line_that_names_something():
    breaches = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for text in messages(path.read_text(encoding="utf-8"))
        if "\n" in text or not NAME.search(text)
    ]
    assert not breaches, "\n".join(breaches)


def test_the_tree_names_every_folder_and_none_that_is_gone():
    named = set(re.findall(r"^\| `([\w./-]+/)` \|", ARCHITECTURE, re.M))
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert {f"{folder.relative_to(ROOT)}/" for folder in folders} - named == set()
    assert {name for name in named if not (ROOT / name).is_dir()} == set()


def test_the_rows_are_those_of_the_architecture_test():
    table = ARCHITECTURE.partition("## Imports")[2].partition("\n## ")[0]
    assert [set(re.findall(r"`(\w+)`", row)) for row in re.findall(r"^\| \d+ \| (.+?) \|", table, re.M)] == ROWS
