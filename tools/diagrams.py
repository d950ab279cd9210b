"""Draws the Mermaid diagrams of README.md and docs/ as the SVG files that the site shows.

    python tools/diagrams.py            draws missing files and deletes unused ones; needs Node (npx) and Chromium
    python tools/diagrams.py --check    exits with 1 if a file is missing or unused; needs neither

GitHub draws a Mermaid fence itself. On the site, docs/_site/links.py shows docs/_site/diagrams/<digest>.svg instead,
where the digest is that of the fence's text: a diagram that changes needs a new file. Each fence has a line
`accTitle: ..`, which becomes the alternative text.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = "docs/_site/diagrams"
RENDERER = "@mermaid-js/mermaid-cli@11.17.0"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FENCE = re.compile(r"^```mermaid\n(.*?)\n```$", re.M | re.S)
TITLE = re.compile(r"^ *accTitle: *(.+)$", re.M)
FONT = "Arial, Helvetica, sans-serif"
# An image does not know whether the page is light or dark. Text has a light box behind it, lines are of middle
# brightness, and the background is transparent, so the diagram can be read on both.
STYLE = {
    "theme": "base",
    "htmlLabels": False,  # SVG text: an image that contains HTML is not drawn by every viewer
    "flowchart": {"htmlLabels": False, "rankSpacing": 32, "nodeSpacing": 32, "padding": 10},
    "fontFamily": FONT,
    "themeVariables": {
        "fontFamily": FONT,
        "primaryColor": "#e8eaf6",
        "primaryTextColor": "#1a237e",
        "primaryBorderColor": "#5c6bc0",
        "lineColor": "#7986cb",
        "edgeLabelBackground": "#e8eaf6",
        "textColor": "#1a237e",
    },
    "themeCSS": ".edgeLabel rect { opacity: 1; }",
}


@dataclass(frozen=True)
class Diagram:
    """A Mermaid fence.

    Attributes:
        page: path of the Markdown file.
        text: the lines between the fence's markers.
    """

    page: str
    text: str

    @property
    def title(self) -> str | None:
        """The title, for readers who do not see the picture.

        >>> Diagram("README.md", "flowchart LR\\n    accTitle: From a to b\\n    a --> b").title
        'From a to b'
        """
        match = TITLE.search(self.text)
        return match[1].strip() if match else None

    @property
    def file(self) -> str:
        """Name of the SVG file.

        >>> Diagram("README.md", "flowchart LR").file
        '35bb46310458.svg'
        """
        return hashlib.sha256(self.text.encode()).hexdigest()[:12] + ".svg"


def diagrams(root: Path) -> list[Diagram]:
    """The diagrams of the Markdown files at the top and in docs/."""
    pages = [*sorted(root.glob("*.md")), *sorted(root.glob("docs/**/*.md"))]
    return [
        Diagram(page.relative_to(root).as_posix(), text)
        for page in pages
        for text in FENCE.findall(page.read_text("utf-8"))
    ]


def problems(root: Path) -> list[str]:
    """A line for each fence without title or file, and for each file without fence."""
    fences = diagrams(root)
    files = {path.name for path in (root / FOLDER).glob("*")}
    return [
        *(f"{fence.page}: a diagram has no line `accTitle: ..`; add one" for fence in fences if not fence.title),
        *(f"{fence.page}: no {FOLDER}/{fence.file}" for fence in fences if fence.file not in files),
        *(f"{FOLDER}/{name}: no diagram has this digest" for name in sorted(files - {fence.file for fence in fences})),
    ]


def sized(svg: str) -> str:
    """The SVG with the size of its view box, so that an image of it has a natural size.

    >>> sized('<svg width="100%" style="max-width: 9.7px;" viewBox="0 0 9.7 20"><path/></svg>')
    '<svg width="10" height="20" viewBox="0 0 9.7 20"><path/></svg>\\n'
    """
    head, end, body = svg.partition(">")
    width, height = (round(float(side)) for side in re.findall(r'viewBox="\S+ \S+ (\S+) (\S+)"', head)[0])
    head = re.sub(r' style="[^"]*"', "", head).replace('width="100%"', f'width="{width}" height="{height}"')
    return f"{head}{end}{body.rstrip()}\n"


def render(diagram: Diagram, target: Path) -> None:
    """Draws a diagram with mermaid-cli, which npx downloads on first use.

    Raises:
        FileNotFoundError: npx or Chromium is not installed.
        subprocess.CalledProcessError: mermaid-cli fails, for example on a syntax error.
    """
    npx, browser = shutil.which("npx"), next(filter(None, map(shutil.which, BROWSERS)), None)
    if npx is None or browser is None:
        raise FileNotFoundError(f"expected npx (Node) and one of {', '.join(BROWSERS)} on PATH; install both")
    launch = {"executablePath": browser, "args": ["--no-sandbox"] if os.geteuid() == 0 else []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "diagram.mmd").write_text(diagram.text, "utf-8")
        (folder / "style.json").write_text(json.dumps(STYLE), "utf-8")
        (folder / "browser.json").write_text(json.dumps(launch), "utf-8")
        command = [npx, "--yes", "-p", RENDERER, "mmdc", "--quiet", "-i", "diagram.mmd", "-o", "diagram.svg"]
        command += ["-c", "style.json", "-p", "browser.json", "-b", "transparent"]
        environment = {**os.environ, "PUPPETEER_SKIP_DOWNLOAD": "1"}  # the installed Chromium is used
        subprocess.run(command, cwd=folder, env=environment, check=True)
        svg = sized((folder / "diagram.svg").read_text("utf-8"))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(svg, "utf-8")


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Draws or checks the files."""
    if arguments == ["--check"]:
        lines = problems(root)
        if lines:
            print("\n".join([*lines, "run python tools/diagrams.py"]), file=sys.stderr)
        return 1 if lines else 0
    fences = diagrams(root)
    for fence in fences:
        target = root / FOLDER / fence.file
        if not target.exists():
            try:
                render(fence, target)
            except (FileNotFoundError, subprocess.CalledProcessError) as error:
                print(f"{fence.page}: a diagram cannot be drawn: {error}", file=sys.stderr)
                return 2
    for path in (root / FOLDER).glob("*"):
        if path.name not in {fence.file for fence in fences}:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
