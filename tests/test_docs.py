"""What docs/troubleshooting.md quotes is said by the code, and all that the code says is on that page."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
PACKAGE = sorted((ROOT / "recbole_llmfashion").rglob("*.py"))
GAP = "…"


def text_of(node: ast.expr) -> str:
    """A text as the page quotes it: what is filled in is `…`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return GAP


def texts(source: str) -> set[str]:
    """Every text of a module that is not a docstring."""
    tree = ast.parse(source)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = {text_of(node) for node in ast.walk(tree) if isinstance(node, ast.expr) and id(node) not in said}
    return found - {GAP}


def raised(source: str) -> set[str]:
    """What a module gives to UserError, where that says anything by itself."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    ours = [
        call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("UserError", "NotFiniteError")
    ]
    return {said for said in map(text_of, (call.args[0] for call in ours)) if len(re.findall("[a-z]", said)) >= 4}


def quoted(page: str = PAGE) -> list[str]:
    """The messages at the head of the page's entries."""
    code = r"``.+?``|`[^`]+`"  # a message that holds backticks stands in two of them
    heads = re.findall(rf"^ *- ((?:(?:{code})(?:,\s+)?)+):", page, re.M)
    return [" ".join(message.strip("`").split()) for head in heads for message in re.findall(code, head)]


def test_what_is_a_message():
    source = '"""Says."""\ndef f(x):\n    """no"""\n    raise UserError(f"{x}: not " + "there" + hint)\n'
    assert texts(source) >= {"…: not there…"} and not {"Says.", "no"} & texts(source)
    assert raised(source) == {"…: not there…"} and raised("raise UserError(str(x))") == set()
    assert quoted("- `a b`, `c`,\n  ``d `…` ``: means `e`.\n- plain `f`\n    - `g`: h\n") == ["a b", "c", "d `…`", "g"]


def test_every_quoted_message_is_in_the_code():
    said = {text for path in PACKAGE for text in texts(path.read_text(encoding="utf-8"))}
    assert len(quoted()) > 200
    assert [message for message in quoted() if not any(message in text for text in said)] == []


def test_every_message_is_on_the_page():
    """A new UserError gets its line in docs/troubleshooting.md: what it means, what to do."""
    missing = {
        f"{path.relative_to(ROOT)}: {text}"
        for path in PACKAGE
        for text in raised(path.read_text(encoding="utf-8"))
        if not any(message in text for message in quoted())
    }
    assert missing == set()
