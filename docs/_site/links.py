"""MkDocs hook: links of the pages to files outside docs/ lead to pages of the site, as GitHub leads to the files.

Such a file becomes the page `repository/<path>`: Markdown as it is, other text as a block of code. It follows links
from file to file, so README.md and what README.md names can be read on the site. Links inside docs/ stay as they are; one that
leads nowhere is left to MkDocs, whose strict build refuses it.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = "repository/"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")  # the path in [text](path#anchor)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files outside docs/ that pages link to, and those that they link to."""
    waiting = [(_path_of(file.src_uri), Path(str(file.abs_src_path)).read_text("utf-8")) for file in files.documentation_pages()]
    while waiting:
        path, text = waiting.pop()
        for target in {_target(path, link) for link in LINK.findall(text)} - {None}:
            uri = _uri_of(str(target))
            if uri.startswith(OUTSIDE) and files.get_file_from_path(uri) is None:
                source = (ROOT / str(target)).read_text("utf-8")
                page = source if str(target).endswith(".md") else f"# {target}\n\n~~~~\n{source}\n~~~~\n"
                files.append(File.generated(config, uri, content=page))
                waiting.append((str(target), source if str(target).endswith(".md") else ""))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Each link of a page, as the site needs it."""
    here = page.file.src_uri

    def moved(found: re.Match[str]) -> str:
        target = _target(_path_of(here), found[1])
        return posixpath.relpath(_uri_of(target), posixpath.dirname(here) or ".") if target else found[1]

    return LINK.sub(moved, markdown)


def _path_of(uri: str) -> str:
    """Where a page's text lies in the repository."""
    if not uri.startswith(OUTSIDE):
        return f"docs/{uri}"
    return uri.removeprefix(OUTSIDE).removesuffix(".txt.md")


def _uri_of(path: str) -> str:
    """Which page shows a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return OUTSIDE + (path if path.endswith(".md") else f"{path}.txt.md")


def _target(path: str, link: str) -> str | None:
    """The file that a link of the file `path` leads to, a folder's README.md for a folder; None where there is none."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    if (ROOT / target).is_dir():
        target = f"{target}/README.md"
    return target if not target.startswith("..") and (ROOT / target).is_file() else None
