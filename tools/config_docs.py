"""Writes docs/config.md: every key of properties/ with its type, default and meaning.

    python tools/config_docs.py            writes the page
    python tools/config_docs.py --check    status 1 if the page is not what would be written

Comments of the YAML files and docstrings of the dataclasses are the source of the tables, tools/config.md of the text.
"""

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_origin, get_type_hints

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from recbole_llmfashion.config.dict_keys import DICT_KEYS, allowed_field, defaults, split_name  # noqa: E402
from recbole_llmfashion.config.keys import RENAMED_KEYS  # noqa: E402
from recbole_llmfashion.config.values import RECBOLE_VALUES, allowed_values  # noqa: E402
from recbole_llmfashion.config.yaml_files import read_yaml  # noqa: E402

PAGE, TEXT = ROOT / "docs/config.md", ROOT / "tools/config.md"
TABLES, RECBOLE, NAMES = "<!-- tables -->", "<!-- recbole -->", "<!-- old names -->"
LINE = re.compile(r"(\w+):\s*(.*?)\s*# \((.+?)\) (.+)")


def code(value: Any) -> str:
    """A value as YAML writes it on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False).removesuffix("\n...\n").strip()
    return f"`{text}`"


def allowed_words(key: str, default: Any) -> str:
    """The values of a key in words; its default is always one of them."""
    if key in DICT_KEYS:
        return "fields"
    values = allowed_values(key)
    return values.words if values.holds(default) else f"{code(default)}, or {values.words}"


def recbole_table() -> list[str]:
    """The keys of RecBole whose values are checked beyond their type."""
    lines = ["| key | allowed |", "|---|---|"]
    by_words: dict[str, list[str]] = {}
    for key, allowed in RECBOLE_VALUES.items():
        by_words.setdefault(allowed.words, []).append(f"`{key}`")
    return [*lines, *(f"| {', '.join(names)} | {words} |" for words, names in by_words.items())]


def key_table(path: Path, allowed: bool = True) -> str:
    """The keys of a YAML file as Markdown: a table per section of the file.

    Args:
        path: of the file.
        allowed: whether to show what values a key may have.
    """
    values = read_yaml(path)
    lines: list[str] = []
    rows, head = 0, True  # rows of the current table; comments at the head of the file are no section
    for line in path.read_text(encoding="utf-8").splitlines():
        found = LINE.fullmatch(line)
        if found:
            key, text, kind, meaning = found.groups()
            meaning = meaning.replace("<", "&lt;")  # <dataset> is no HTML
            if not rows:
                lines += ["", f"| key | type | default |{' allowed |' if allowed else ''} meaning |", "|---" * 4 + "|"]
                lines[-1] += "---|" if allowed else ""
            cells = [f"`{key}`", kind, f"`{text}`" if text else code(values[key])]
            cells += [allowed_words(key, values[key])] if allowed else []
            lines.append(f"| {' | '.join([*cells, meaning])} |")
            rows += 1
        elif line.startswith("# ") and not head:
            lines += ["", f"**{line[2:]}**"]
            rows = 0
        head = head and line.startswith("#")
    return "\n".join(lines).strip()


def field_table(key: str) -> list[str]:
    """The fields of a dict key as Markdown."""
    own, types, values = DICT_KEYS[key], get_type_hints(DICT_KEYS[key].settings), defaults(key)
    meanings = arguments(own.settings)
    lines = ["| field | type | default | allowed | meaning |", "|---|---|---|---|---|"]
    for field in own.fields:
        kind = "str" if get_origin(types[field]) is Literal else types[field].__name__
        words = allowed_field(key, field).words
        lines.append(f"| `{field}` | {kind} | `{values[field]}` | {words} | {meanings[field]} |")
    return lines


def arguments(cls: type) -> dict[str, str]:
    """The `Args:` of a docstring: meaning by name."""
    text = inspect.getdoc(cls) or ""
    block = re.search(r"^Args:\n((?:    .*\n?)+)", text, re.M)
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", block[1] if block else "", re.M)
    return {name: " ".join(meaning.split()).rstrip(".") for name, meaning in entries}


def old_names() -> list[str]:
    """The keys of the first release by their names of today."""
    lines = ["| first release | today | values |", "|---|---|---|"]
    for old, (new, words) in sorted(RENAMED_KEYS.items()):
        key, field = split_name(new)
        name = f"{key}: {{{field}: ..}}" if field else new
        lines.append(f"| `{old}` | `{name}` | {pairs(words)} |")
    return lines


def pairs(words: Mapping[Any, Any]) -> str:
    """Values that changed with their key."""
    return ", ".join(f"`{old}` is `{new}`" for old, new in words.items())


def page() -> str:
    """The whole page."""
    root = ROOT / "properties"
    files = [root / "overall.yaml", root / "dataset/default.yaml"]
    models = [path for path in sorted((root / "model").glob("*.yaml")) if not path.stem.endswith("-paper")]
    first = ["LLMFashionRec", "Recformer"]
    files += sorted(models, key=lambda path: (first.index(path.stem) if path.stem in first else 2, path.stem))
    tables: dict[str, list[str]] = {}  # equal tables of several files are shown once
    for path in [*files, root / "pretrain.yaml"]:
        tables.setdefault(key_table(path, path.stem != "pretrain"), []).append(str(path.relative_to(root)))
    parts = []
    for table, names in tables.items():
        parts.append(f"### {', '.join(names)}\n\n{table}\n")
        for key in (key for key in DICT_KEYS if key in read_yaml(root / names[0])):
            parts.append(f"#### Fields of `{key}`\n\n" + "\n".join(field_table(key)) + "\n")
    text = TEXT.read_text(encoding="utf-8")
    tables_text = {TABLES: "\n".join(parts).strip(), RECBOLE: "\n".join(recbole_table())}
    for place, content in (tables_text | {NAMES: "\n".join(old_names())}).items():
        text = text.replace(place, content)
    return text


def main(argv: list[str]) -> int:
    """Writes or checks docs/config.md."""
    if argv not in ([], ["--check"]):
        print("usage: python tools/config_docs.py [--check]", file=sys.stderr)
        return 2
    new = page()
    if argv:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != new:
            print("docs/config.md is not up to date; run python tools/config_docs.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(new, encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
