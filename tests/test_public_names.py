"""The public names of the folders: lazy, complete, and the objects themselves."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import recbole_llmfashion

PACKAGE = Path(recbole_llmfashion.__file__).parent
FOLDERS = sorted(
    ".".join([PACKAGE.name, *path.parent.relative_to(PACKAGE).parts]) for path in PACKAGE.rglob("__init__.py")
)
EXTRAS = {  # what is installed with an extra alone
    "recbole_llmfashion.serving.web": "fastapi",
    "recbole_llmfashion.tuning": "optuna",
    "recbole_llmfashion.distributed": "ray",
}
FACES = [folder for folder in FOLDERS if folder != "recbole_llmfashion.cli"]


def typed_names(folder):
    """What type checkers see: the names imported under TYPE_CHECKING, with the module of each."""
    tree = ast.parse((PACKAGE.parent / folder.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.name: node.module for node in block.body for alias in node.names}


@pytest.mark.parametrize("folder", FACES)
def test_each_name_is_the_object_of_its_module(folder):
    if folder in EXTRAS:
        pytest.importorskip(EXTRAS[folder])
    package, typed = import_module(folder), typed_names(folder)
    assert set(package.__all__) - {"__version__", "lazy_names"} == set(typed)
    for name, module in typed.items():
        assert getattr(package, name) is getattr(import_module(module), name)
    submodules = {path.stem for path in Path(package.__file__).parent.iterdir()}
    assert set(typed) & submodules == set()  # an import of the module would hide the name


def test_the_package_names_four_objects():
    assert set(typed_names("recbole_llmfashion")) == {"run_experiment", "load_config", "Recommender", "UserError"}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'recbole_llmfashion.data' has no attribute 'Catalog'"):
        import_module("recbole_llmfashion.data").Catalog  # noqa: B018
    with pytest.raises(ImportError, match="Catalog"):
        exec("from recbole_llmfashion.data import Catalog")


def test_naming_a_folder_imports_nothing_heavy():
    code = f"import sys\nfor name in {FOLDERS}: __import__(name)\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "transformers", "recbole", "ray", "faiss", "pandas", "numpy", "typer"} & set(loaded) == set()
    from_names = "from recbole_llmfashion import UserError\nimport sys\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", from_names], capture_output=True, text=True, check=True).stdout
    assert {"torch", "recbole", "numpy"} & set(loaded.split()) == set()
