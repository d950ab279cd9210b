"""MkDocs hooks: files outside docs/ become pages of the site, and no page loads anything from another host.

A file outside docs/ that a page links to becomes the page `repository/<path>`: Markdown as it is, other text as a code
block. Links are followed from file to file, so README.md and the files it links to can be read on the site as on
GitHub. Links inside docs/ are not changed; MkDocs' strict build refuses those that lead nowhere. Pages with a diagram
load the copy of Mermaid in docs/_site (MIT); the theme would load it from another host.
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
MERMAID = "_site/mermaid.tiny.js"
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
    """Rewrites the links of a page for the site."""
    here = page.file.src_uri

    def rewrite(match: re.Match[str]) -> str:
        target = _target(_path_of(here), match[1])
        return posixpath.relpath(_uri_of(target), posixpath.dirname(here) or ".") if target else match[1]

    return LINK.sub(rewrite, markdown)


def on_post_page(output: str, page: Page, **_: object) -> str:
    """Adds Mermaid to a page with a diagram.

    Raises:
        PluginError: the page would load a script, font, style or picture from another host.
    """
    for tag in EXTERNAL.findall(output):
        raise PluginError(f"{page.file.src_uri}: {tag} is loaded from another host; keep it in docs/")
    if 'class="mermaid"' not in output:
        return output
    source = posixpath.relpath(MERMAID, posixpath.dirname(page.file.dest_uri) or ".")
    return output.replace("</head>", f'<script src="{source}"></script></head>', 1)


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
