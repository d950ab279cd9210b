"""MkDocs hooks: links to files outside docs/ lead to pages of the site, and no page asks another host for anything.

A file outside docs/ that a page links to becomes the page `repository/<path>`: Markdown as it is, other text as a block
of code. Links are followed from file to file, so that README.md and what it names can be read on the site, as on
GitHub. Links inside docs/ stay as they are; one that leads nowhere is left to MkDocs, whose strict build refuses it.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = "repository/"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")  # the path in [text](path#anchor)
ASKED = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^"'\s>]+""")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files outside docs/ that pages link to, and those that they link to."""
    waiting = [(_path_of(file.src_uri), file.content_string) for file in files.documentation_pages()]
    while waiting:
        path, text = waiting.pop()
        for target in filter(None, {_target(path, link) for link in LINK.findall(text)}):
            if files.get_file_from_path(_uri_of(target)) is None and not target.startswith("docs/"):
                source = (ROOT / target).read_text("utf-8")
                page = source if target.endswith(".md") else f"# {target}\n\n~~~~\n{source}\n~~~~\n"
                files.append(File.generated(config, _uri_of(target), content=page))
                waiting.append((target, source if target.endswith(".md") else ""))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Each link of a page, as the site needs it."""
    here = page.file.src_uri

    def moved(found: re.Match[str]) -> str:
        target = _target(_path_of(here), found[1])
        return posixpath.relpath(_uri_of(target), posixpath.dirname(here) or ".") if target else found[1]

    return LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Refuses a page that would fetch a script, a font, a style or a picture from elsewhere."""
    for found in ASKED.findall(output):
        raise PluginError(f"{page.file.src_uri}: {found} is fetched from another host; keep it in docs/")
    return output


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
