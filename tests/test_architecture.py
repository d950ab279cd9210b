"""The arrows: a part of the package imports only what stands to its left, and heavy libraries have one home."""

import ast
from pathlib import Path

import pytest

import recbole_llmfashion

PACKAGE = Path(recbole_llmfashion.__file__).parent
NAME = PACKAGE.name
# A row may import the rows above it, and itself. llm and retrieval stand beside each other.
ORDER = [
    {"errors", "__init__"},
    {"versions"},
    {"compat", "stages", "memory_probe", "cold_token", "cluster"},
    {"manifest"},
    {"config"},
    {"data"},
    {"embedding"},
    {"prompt"},
    {"llm", "retrieval"},
    {"model"},
    {"evaluation"},
    {"settings", "recformer_settings", "baseline", "texts", "source"},
    {"finetuning"},
    {"train_workers"},
    {"engine"},
    {"learned"},
    {"asked"},
    {"pipeline", "recformer_pipeline"},
    {"zero_shot"},
    {"run_folder"},
    {"trainer"},
    {"floor_trainer", "recformer_trainer"},
    {"registry"},
    {"quick_start"},
    {"results"},
    {"run"},
    {"tuning", "study", "recformer_pretrain", "serving"},
    {"generation"},
    {"service"},
    {"serve"},
    {"demo"},
    {"cli"},
]
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
# Tools that make files stand apart: they know the atomic format, and only the command line knows them.
APART, APART_MAY = "datasets", {"errors", "data", "datasets"}
HOMES = {
    "transformers": {"llm", "model/recformer"},
    "peft": {"llm"},
    "bitsandbytes": {"llm"},
    "faiss": {"embedding/index", "embedding/codes", "embedding/near"},
    "open_clip": {"embedding/clip"},
    "huggingface_hub": {"datasets/convert/download"},
    "ray": {"cluster", "tuning", "serve", "train_workers", "generation/actors"},
    "fastapi": {"service/web"},
    "prometheus_client": {"service/metrics", "service/web"},
    "optuna": {"tuning/proposals"},
    "matplotlib": {"tuning/figures", "study/figures"},
    "jinja2": {"study/report", "demo/markup"},
    "gradio": {"demo/page"},
    "starlette": {"demo/page", "service/web"},
}


def files():
    return sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows(path):
    own = part_of(path)
    for module in imports(path):
        parts = module.split(".")
        if parts[0] != NAME or len(parts) < 2:
            continue
        other = parts[1] if parts[1] in LEVEL or parts[1] == APART else "__init__"
        if own == APART:
            assert other in APART_MAY | {"__init__"}, f"{path.name} imports {module}"
        elif other == APART:
            assert own == "cli", f"{path.name} imports {module}"
        else:
            assert LEVEL[other] < LEVEL[own] or other == own, f"{path.name} imports {module}"


@pytest.mark.parametrize("library", sorted(HOMES))
def test_heavy_libraries_have_one_home(library):
    for path in files():
        place = str(path.relative_to(PACKAGE).with_suffix(""))
        if any(module.split(".")[0] == library for module in imports(path)):
            assert any(place == home or place.startswith(f"{home}/") for home in HOMES[library]), place


def test_embedding_and_llm_know_no_recbole():
    for path in files():
        if part_of(path) in ("embedding", "llm", "retrieval", "datasets"):
            assert not any(module.split(".")[0] == "recbole" for module in imports(path)), path


def test_no_config_below_the_model():
    for path in files():
        if part_of(path) in ("embedding", "llm", "retrieval", "datasets"):
            assert "config[" not in path.read_text(), path


def test_nothing_is_unpickled_or_evaluated():
    """`joblib`, `pickle`, `eval`, `exec` and trust in a hub's code have no place; torch.load only reads our own run."""
    for path in files():
        text = path.read_text()
        tree = ast.parse(text)
        calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert not calls & {"eval", "exec"}, path
        assert not imports(path) & {"pickle", "joblib", "dill"}, path
        trusted = [
            k for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords if k.arg == "trust_remote_code"
        ]
        assert all(isinstance(k.value, ast.Constant) and k.value.value is False for k in trusted), path
        assert "torch.load(" not in text or path.name == "baseline.py", path


def test_every_module_says_what_it_is():
    for path in files():
        assert ast.get_docstring(ast.parse(path.read_text())), path
