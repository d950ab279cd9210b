"""Writes requirements.txt for an installation with pip, from pyproject.toml and RecBole's own metadata.

    python tools/requirements.py            writes the file
    python tools/requirements.py --check    exits with 1 if the file differs

pip cannot override RecBole's pins (ray, colorlog, colorama), so RecBole itself is installed afterwards without its
dependencies (README.md), and they are listed here with the overrides of [tool.uv].
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "requirements.txt"
EXTRAS = ("study", "tune", "cluster")  # what `uv run` installs by default, through the group `dev`
HEADER = "# Made by tools/requirements.py: everything but RecBole, whose pins pip cannot override. See README.md.\n"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[([^]]*)\])?(.*)")


def parse(requirement: str) -> tuple[str, set[str], str]:
    """Name, extras and the rest of a requirement.

    >>> parse("ray[tune]>=2.50")
    ('ray', {'tune'}, '>=2.50')
    """
    name, extras, rest = _REQUIREMENT.fullmatch(requirement).groups()  # type: ignore[union-attr]
    return name.lower().replace("_", "-"), {extra for extra in (extras or "").split(",") if extra}, rest.strip()


def merged(requirements: Iterable[str], without: Iterable[str] = ()) -> list[str]:
    """One line per package: the version of its first requirement, and the extras of all.

    >>> merged(["ray[tune]>=2.50", "numpy>=2", "ray[data]>=2.50"])
    ['ray[data,tune]>=2.50', 'numpy>=2']
    """
    versions: dict[str, str] = {}
    extras: dict[str, set[str]] = {}
    for requirement in requirements:
        name, more, version = parse(requirement)
        versions.setdefault(name, version)
        extras[name] = extras.get(name, set()) | more
    lines = {name: name + (f"[{','.join(sorted(extras[name]))}]" if extras[name] else "") for name in versions}
    return [lines[name] + version for name, version in versions.items() if name not in without]


def requirements() -> str:
    """Content of requirements.txt."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = settings["project"]
    listed = list(project["dependencies"])
    for extra in EXTRAS:
        listed += project["optional-dependencies"][extra]
    for override in settings["tool"]["uv"]["override-dependencies"]:
        if isinstance(override, str):
            listed.append(override)
        elif override["package"]["name"] == "recbole":  # the other packages belong to extras that pip gets by name
            listed += override["dependencies"]
    own = [re.sub(r"[ ()]", "", line) for line in requires("recbole") or [] if "extra ==" not in line]
    return HEADER + "\n".join(merged([*listed, *own], without=["recbole"])) + "\n"


def main(arguments: list[str]) -> int:
    """Writes or checks the file."""
    content = requirements()
    if arguments == ["--check"]:
        if FILE.read_text("utf-8") != content:
            print(f"{FILE.name}: differs from pyproject.toml; run python tools/requirements.py", file=sys.stderr)
            return 1
        return 0
    FILE.write_text(content, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
