"""The counts of tools/house.py on a package of four files whose figures are counted by hand."""

import ast

import pytest

from tools import house

FILES = {
    "recbole_llmfashion/__init__.py": '"""Toy."""\n',
    "recbole_llmfashion/errors.py": '"""Errors."""\n\n\nclass UserError(Exception):\n    """One line."""\n',
    "recbole_llmfashion/data/__init__.py": "__all__ = ['read']\n",
    "recbole_llmfashion/data/read.py": (
        "from recbole_llmfashion.errors import UserError\n\n\n"
        "def read(path: str, strict: bool = False) -> str:\n"
        '    """The path.\n\n    >>> read("a")\n    \'a\'\n    """\n'
        "    if strict and not path:\n        raise UserError\n    return path\n\n\n"
        "def _plain(self, x):\n    return x\n"
    ),
    "recbole_llmfashion/cli/main.py": "def main():\n    from recbole_llmfashion.data import read\n    return read\n",
    "tests/data/test_read.py": "def test_read():\n    pass\n\n\ndef helper():\n    pass\n",
    "README.md": "# Toy\n\nText.\n",
}


@pytest.fixture
def checkout(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_counts(checkout):
    assert house.counts(checkout) == {
        "files": "3",
        "lines": "24",
        "file length median / p90 / max": "5 / 16 / 16",
        "functions": "3",
        "function length median / p90 / max": "3 / 9 / 9",
        "parameters median / p90 / max": "1 / 2 / 2",
        "fully annotated": "33 %",
        "public functions with a docstring": "50 %",
        "all functions / classes / modules with a docstring": "33 % / 100 % / 33 %",
        "`>>>` examples (files)": "1 (1)",
        "packages whose `__init__` names a public API": "1 of 2",
        "cyclomatic complexity p90 / p99 / max": "3 / 3 / 3",
        "functions above complexity 10 / 12": "0 / 0",
        "modules at the top beside `__init__` / folders there": "1 / 2",
        "files in the fullest folders": "2, 2, 1",
        "rooms": "3",
        "floors of imports": "3",
        "arrows between rooms": "2",
        "circles of modules": "0",
        "test functions / a module": "1 / 0.3",
        "modules with a test file of their name in the mirrored place": "33 % (1 of 3)",
        "test lines / package lines": "0.23",
        "README lines": "3",
    }


def test_a_circle_is_counted_and_is_one_floor(checkout):
    (checkout / "recbole_llmfashion/errors.py").write_text("import recbole_llmfashion.data.read\n")
    counts = house.counts(checkout)
    assert counts["circles of modules"] == "1" and counts["floors of imports"] == "2"


def test_a_folder_without_the_package_is_one_line(tmp_path, capsys):
    assert house.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: expected a checkout with a folder recbole_llmfashion\n"


def test_the_table_has_a_column_per_checkout(checkout, capsys):
    assert house.main([str(checkout), str(checkout)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"| count | {checkout.name} |" and "| floors of imports | 3 |" in lines


def test_complexity_of_handlers_and_cases():
    text = "def f(x):\n try:\n  pass\n except OSError:\n  pass\n match x:\n  case 1: pass\n  case _: pass\n"
    assert house.complexity(ast.parse(text).body[0]) == 4
