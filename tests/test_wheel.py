"""The wheel: its files, and what an environment runs that holds it and its core dependencies without any extra."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "recbole_llmfashion"
OPTIONAL = ["optuna", "matplotlib", "gradio", "fastapi"]  # packages that only extras install


def build(source, what):
    """The distribution of a folder, `wheel` or `sdist`, built without a network."""
    code = f"from setuptools import build_meta; print(build_meta.build_{what}('dist'))"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    return next((source / "dist").glob("*.whl" if what == "wheel" else "*.tar.gz"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the sources, because setuptools writes beside them."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    for name in (PACKAGE, "properties"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    return source


@pytest.fixture(scope="module")
def wheel(source):
    return build(source, "wheel")


def test_the_wheel_holds_every_file_of_the_package_and_of_properties(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(f"{PACKAGE}/")}
    package = [path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    keys = [path for path in (ROOT / "properties").rglob("*.yaml") if path.is_file()]
    expected = {path.relative_to(ROOT).as_posix() for path in package}
    assert held == expected | {f"{PACKAGE}/{path.relative_to(ROOT).as_posix()}" for path in keys}


@pytest.mark.slow  # builds twice more
def test_a_wheel_of_the_source_distribution_is_the_same(wheel, source, tmp_path):
    """A release has both, and pip builds the second where it cannot take the first."""
    with tarfile.open(build(source, "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = build(unpacked, "wheel")
    contents = [{name: file.read(name) for name in file.namelist()} for file in map(zipfile.ZipFile, (wheel, again))]
    record = next(name for name in contents[0] if name.endswith("RECORD"))
    assert contents[0].keys() == contents[1].keys()
    assert [name for name in contents[0] if name != record and contents[0][name] != contents[1][name]] == []


def test_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name.rpartition("/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(names["METADATA"]).decode()
        assert (
            "recbole-llmfashion = recbole_llmfashion.cli.main:main" in archive.read(names["entry_points.txt"]).decode()
        )
    core = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert not [line for line in core for package in OPTIONAL if line.split()[1].startswith(package)]
    for extra in ("study", "tune", "cluster", "serve", "demo", "gpu", "benchmarks"):
        assert f"Provides-Extra: {extra}\n" in metadata


@pytest.fixture(scope="module")
def command(wheel, tmp_path_factory):
    """Runs a line of the installed command in an empty folder; the extras' packages cannot be imported there."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", home / "env"], check=True)
    python = home / "env/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel], check=True)
    packages = next((home / "env/lib").glob("python*/site-packages"))
    (packages / "outer.pth").write_text(f"{sysconfig.get_path('purelib')}\n")  # the dependencies, nothing is downloaded
    (packages / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({OPTIONAL}))\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*words):
        command = [str(home / "env/bin/recbole-llmfashion"), *map(str, words)]
        return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=900)

    run.packages, run.home = packages, home
    return run


@pytest.mark.slow
def test_an_installed_wheel_runs_the_main_job_without_an_extra(command):
    shown = command("--help")
    assert shown.returncode == 0 and "simulate" in shown.stdout and shown.stderr == ""
    made = command("simulate", "--category", "footwear", "--users", "100", "--seed", "7", "--out", "data/footwear")
    assert made.returncode == 0, made.stderr
    small = command.packages / PACKAGE / "properties/example/small.yaml"
    job = command(
        "run", "--model=LLMFashionRec,CORE", "--dataset=footwear", "--data_path=data", f"--config_files={small}",
        "--curriculum_epochs=1", "--num_beams=5",
    )  # fmt: skip
    assert job.returncode == 0, job.stderr
    table = next(command.home.glob("results/*/table.md")).read_text()
    assert "| LLMFashionRec | 0." in table and "| CORE | 0." in table


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["study", "compare", "--dataset=footwear", "--data_path=data"], "matplotlib", "study"),
        (["analyze", "data/footwear", "--output", "analysis"], "matplotlib", "study"),
        (
            ["tune", "--model=CORE", "--dataset=footwear", "--data_path=data", "--params_file=space.yaml"],
            "optuna",
            "tune",
        ),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(command, words, package, extra):
    command("simulate", "--category", "footwear", "--users", "60", "--seed", "7", "--out", "data/footwear")
    (command.home / "space.yaml").write_text("learning_rate: {choice: [0.001, 0.01]}\n")
    refused = command(*words)
    assert refused.returncode == 2 and refused.stdout == "", refused.stderr
    hint = f'run `uv sync --extra {extra}` or `pip install "recbole-llmfashion[{extra}]"`'
    assert refused.stderr == f"error: {package} is not installed; {hint}\n"
