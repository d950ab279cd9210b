"""MkDocs hooks: files outside docs/ become pages, diagrams become images, no page loads anything from another host.

A file outside docs/ that a page links to becomes the page `repository/<path>`: Markdown as it is, other text as a code
block. Links are followed from file to file, so README.md and the files it links to can be read on the site as on
GitHub. Links inside docs/ are not changed; MkDocs' strict build refuses those that lead nowhere. A Mermaid fence
becomes the image that tools/diagrams.py has drawn of it; the theme would load a script from another host to draw it.
"""

import html
import posixpath
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # MkDocs restores the path after this file

from tools.diagrams import FENCE, FOLDER, Diagram  # noqa: E402

OUTSIDE = "repository/"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")  # the path in [text](path#anchor)
EXTERNAL = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=["']?(?:https?:)?//[^"'\s>]+""")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files outside docs/ that pages link to, and the files that those link to."""
    queue = [(_path_of(file.src_uri), file.content_string) for file in files.documentation_pages()]
    while queue:
        path, text = queue.pop()
        for target in filter(None, {_target(path, link) for link in LINK.findall(text)}):
            if files.get_file_from_path(_uri_of(target)) is None and not target.startswith("docs/"):
                source = (ROOT / target).read_text("utf-8")
                page = source if target.endswith(".md") else f"# {target}\n\n~~~~\n{source}\n~~~~\n"
                files.append(File.generated(config, _uri_of(target), content=page))
                queue.append((target, source if target.endswith(".md") else ""))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Rewrites the links and diagrams of a page for the site.

    Raises:
        PluginError: a diagram is not drawn.
    """
    here = page.file.src_uri

    def rewrite(match: re.Match[str]) -> str:
        target = _target(_path_of(here), match[1])
        return posixpath.relpath(_uri_of(target), posixpath.dirname(here) or ".") if target else match[1]

    def picture(match: re.Match[str]) -> str:
        diagram = Diagram(_path_of(here), match[1])
        path = f"{FOLDER}/{diagram.file}"
        if not (ROOT / path).is_file():
            raise PluginError(f"{diagram.page}: no {path}; run python tools/diagrams.py")
        source = posixpath.relpath(_uri_of(path), posixpath.dirname(page.file.dest_uri) or ".")
        alternative = html.escape(diagram.title or "diagram")
        return f'<p class="diagram"><img src="{source}" alt="{alternative}"></p>'

    return LINK.sub(rewrite, FENCE.sub(picture, markdown))  # in this order: the digest is that of the unchanged fence


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Refuses a page that needs another host.

    Raises:
        PluginError: the page would load a script, font, style or picture from another host.
    """
    for tag in EXTERNAL.findall(output):
        raise PluginError(f"{page.file.src_uri}: {tag} is loaded from another host; keep it in docs/")
    return output


def _path_of(uri: str) -> str:
    """The path of a page's source in the repository."""
    if not uri.startswith(OUTSIDE):
        return f"docs/{uri}"
    return uri.removeprefix(OUTSIDE).removesuffix(".txt.md")


def _uri_of(path: str) -> str:
    """The page that shows a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return OUTSIDE + (path if path.endswith(".md") else f"{path}.txt.md")


def _target(path: str, link: str) -> str | None:
    """The file that a link in the file `path` leads to (README.md for a folder), or None."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    if (ROOT / target).is_dir():
        target = f"{target}/README.md"
    return target if not target.startswith("..") and (ROOT / target).is_file() else None
