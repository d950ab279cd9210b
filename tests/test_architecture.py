"""The shape of the package: what a folder may import, how many files it holds, and where each heavy library lives."""

import ast
from functools import cache
from pathlib import Path

import recbole_llmfashion

PACKAGE = Path(recbole_llmfashion.__file__).parent
NAME = PACKAGE.name
MOST_FILES = 12
TOP = {"compat", "errors", "stage_store", "tracking", "versions"}
# A folder imports the rows above its own, and itself; folders of one row do not import each other.
ROWS = [
    {"errors"},
    {"files"},
    {"cpu", "compat", "stage_store", "tracking", "versions"},
    {"config", "data", "embedding"},
    {"prompt", "dataset_tools"},
    {"llm", "retrieval"},
    {"model", "evaluation", "distributed"},
    {"pipeline"},
    {"trainer", "serving"},
    {"quick_start"},
    {"study", "tuning"},
    {"cli"},
]
ROW = {part: row for row, parts in enumerate(ROWS) for part in parts}
# The tools that write datasets take nothing of the others but the format of the files and the way to write them.
MAY_ONLY = {"dataset_tools": {"errors", "files", "data", "dataset_tools"}}
HOMES = {
    "transformers": {"llm", "model/recformer", "embedding/sentence"},
    "peft": {"llm"},
    "bitsandbytes": {"llm"},
    "faiss": {"embedding/flat_index", "embedding/residual_codes", "embedding/approximate_index"},
    "open_clip": {"embedding/clip_text", "embedding/clip_images"},
    "huggingface_hub": {"dataset_tools/convert/readers/download", "embedding/sentence", "pipeline/export"},
    "ray": {"distributed", "tuning", "serving/web/app", "serving/batch/actors"},
    "fastapi": {"serving/web/routes"},
    "prometheus_client": {"serving/web/metrics", "serving/web/routes"},
    "optuna": {"tuning/searcher"},
    "matplotlib": {"tuning/figures", "study/report/figures"},
    "jinja2": {"study/report/html", "serving/demo/markup"},
    "gradio": {"serving/demo/page"},
    "wandb": {"tracking"},
    "starlette": {"serving/demo/page", "serving/web/routes"},
}
NO_RECBOLE = {"embedding", "llm", "retrieval", "dataset_tools"}


@cache
def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def dotted_names() -> set[str]:
    return {place_of(module).replace("/", ".") for module in modules()}


def folder_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def place_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE).with_suffix(""))


@cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_modules(path: Path) -> set[str]:
    """The modules of the package that a file imports, by place: data/catalogue."""
    known = dotted_names()
    found = set()
    for dotted in imports(path):
        parts = dotted.split(".")[1:] if dotted.split(".")[0] == NAME else []
        while parts and ".".join(parts) not in known:
            parts.pop()
        found |= {"/".join(parts)} if parts else set()
    return found


def test_arrows():
    breaches = []
    for path in modules():
        own = folder_of(path)
        for place in own_modules(path) if own != "__init__" else ():
            other = place.split("/")[0]
            below = other == own or ROW[other] < ROW[own]
            if not below or other not in MAY_ONLY.get(own, ROW):
                breaches.append(f"{place_of(path)} imports {place}")
            if other == "dataset_tools" and own not in ("dataset_tools", "cli"):
                breaches.append(f"{place_of(path)} imports {place}, which the command line alone may do")
    assert not breaches, "\n".join(breaches)


def test_every_folder_has_its_row():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.rglob("*.py"))}
    tops = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert tops == TOP
    assert folders | tops == set(ROW)


def test_no_folder_holds_more_than_twelve_files():
    folders = {path.parent for path in modules()}
    counts = {
        str(folder.relative_to(PACKAGE)): sum(1 for path in folder.glob("*.py") if path.stem != "__init__")
        for folder in folders
    }
    assert {place: count for place, count in counts.items() if count > MOST_FILES} == {}


def test_no_circle():
    arrows = {place_of(path): own_modules(path) for path in modules() if path.stem != "__init__"}
    state: dict[str, int] = {}
    circles = []

    def visit(place: str, way: list[str]) -> None:
        state[place] = 1
        for other in arrows.get(place, ()):
            if state.get(other) == 1 and other != place:
                circles.append(" -> ".join([*way[way.index(other) :], other]))
            elif other not in state:
                visit(other, [*way, other])
        state[place] = 2

    for place in arrows:
        if place not in state:
            visit(place, [place])
    assert circles == []


def test_heavy_libraries_have_one_home():
    strays = [
        f"{place_of(path)} imports {library}"
        for path in modules()
        for library in {module.split(".")[0] for module in imports(path)} & set(HOMES)
        if not any(place_of(path) == home or place_of(path).startswith(f"{home}/") for home in HOMES[library])
    ]
    assert strays == []


def test_recbole_and_config_stay_out_of_the_plain_folders():
    strays = [
        place_of(path)
        for path in modules()
        if folder_of(path) in NO_RECBOLE
        and (any(module.split(".")[0] == "recbole" for module in imports(path)) or "config[" in path.read_text("utf-8"))
    ]
    assert strays == []
