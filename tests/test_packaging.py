"""The Dockerfile, the citation and the workflows say what README.md and pyproject.toml say."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.helpers.doc_commands import commands_of

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = commands_of((ROOT / "README.md").read_text())
PYTHONS = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if ":: Python :: 3." in line]


def instructions(text):
    """(name, arguments) of each instruction; comments are left out and lines are joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.M))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text())


def of(name):
    return [arguments for kind, arguments in DOCKERFILE if kind == name]


def installed(line):
    """A command of pip without the options that an image alone has."""
    words = shlex.split(line)
    if "--extra-index-url" in words:
        at = words.index("--extra-index-url")
        assert words[at + 1] == "${TORCH_INDEX}"
        del words[at : at + 2]
    return " ".join(word for word in words if word != "--no-cache-dir")


def test_the_image_is_installed_as_the_readme_says():
    lines = [part.strip() for run in of("RUN") for part in run.split("&&")]
    assert {line.split()[0] for line in lines} == {"useradd", "pip", "mkdir", "chown"}
    pip = [line for line in lines if line.startswith("pip ")]
    assert all("--no-cache-dir" in line.split() for line in pip)
    expected = [line for line in README if line.startswith("pip install -r") or "--no-deps" in line]
    assert [installed(line) for line in pip] == expected and len(expected) == 3


def test_the_image_runs_the_first_command_of_the_readme():
    (command,) = of("CMD")
    words = yaml.safe_load(command)  # the form without a shell, so that the process gets the signals
    first = next(line for line in README if line.startswith("run_recbole_llm.py "))
    assert words == ["python", *shlex.split(first)] and (ROOT / words[1]).is_file()
    assert "--model=LLMFashionRec,CORE" in words and "--dataset=footwear" in words


def test_the_base_and_its_arguments():
    arguments = dict(argument.split("=", 1) for argument in of("ARG"))
    assert arguments == {"PYTHON": "3.12", "TORCH_INDEX": "https://download.pytorch.org/whl/cpu"}
    assert arguments["PYTHON"] in PYTHONS and of("FROM") == ["python:${PYTHON}-bookworm"]
    kinds = [kind for kind, _ in DOCKERFILE]
    assert set(kinds) == {"ARG", "FROM", "ENV", "RUN", "WORKDIR", "COPY", "USER", "CMD"}
    assert kinds.index("ARG") < kinds.index("FROM") < kinds.index("ARG", 1)  # the second is one of the stage


def test_the_job_has_no_rights():
    kinds = [kind for kind, _ in DOCKERFILE]
    assert of("USER") == ["user"] and kinds.index("USER") > max(at for at, kind in enumerate(kinds) if kind == "RUN")
    assert of("WORKDIR") == ["/work"] and of("COPY") == ["requirements.txt ./", "--chown=user:user . ."]


def test_the_image_gets_the_dataset_and_no_folder_of_the_machine():
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert {".git", ".venv", "saved", "results", "dataset/*", "!dataset/footwear"} <= set(ignored)
    needed = [
        "pyproject.toml",
        "setup.py",
        "README.md",
        "LICENSE",
        "requirements.txt",
        "properties",
        "recbole_llmfashion",
    ]
    for name in needed:
        assert (ROOT / name).exists() and name not in ignored


CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_citation_is_of_this_version():
    assert CITATION["cff-version"] == "1.2.0" and CITATION["message"] and CITATION["type"] == "software"
    assert CITATION["version"] == PROJECT["version"] and CITATION["license"] == PROJECT["license"]
    assert CITATION["abstract"] == PROJECT["description"] and CITATION["keywords"] == PROJECT["keywords"]
    assert CITATION["title"] == PROJECT["name"].replace("-", "_")
    assert CITATION["authors"] == PROJECT["authors"] == [{"name": "recbole_llmfashion contributors"}]
    # all keys are of the format's schema
    assert CITATION.keys() <= {
        *["cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "keywords"],
        "references",
    }


def test_the_citation_of_the_paper():
    (paper,) = CITATION["references"]
    assert (
        paper["type"] == "conference-paper" and paper["title"] == "Sequential LLM Framework for Fashion Recommendation"
    )
    assert len(paper["authors"]) == 12 and paper["authors"][0] == {"family-names": "Liu", "given-names": "Han"}
    assert all(author.keys() == {"family-names", "given-names"} for author in paper["authors"])
    assert (paper["year"], paper["start"], paper["end"]) == (2024, 1276, 1285)
    assert re.fullmatch(r"10\.\d{4,}/\S+", paper["doi"])
    assert paper["identifiers"][0]["value"] == "arXiv:2410.11327" and "2410.11327" in (ROOT / "README.md").read_text()


WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}


def steps(job):
    return [step.get("run") or step["uses"] for step in job["steps"]]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow(name):
    workflow = WORKFLOWS[name]
    assert workflow["name"] == name
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"])


def test_a_tag_is_published_without_a_stored_token():
    release = WORKFLOWS["release"]
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` as true
    build, publish = release["jobs"]["build"], release["jobs"]["publish"]
    assert release["permissions"] == {"contents": "read"} and "permissions" not in build
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"] == "pypi"
    assert publish["needs"] == "build" and steps(publish)[-1] == "pypa/gh-action-pypi-publish@release/v1"
    assert "python -m build" in steps(build) and any(
        'test "v$version" = "$GITHUB_REF_NAME"' in run for run in steps(build)
    )
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()


def test_the_site_is_published_from_the_main_branch():
    docs = WORKFLOWS["docs"]
    assert docs[True]["push"] == {"branches": ["main"]} and docs["permissions"] == {"contents": "read"}
    (job,) = docs["jobs"].values()
    assert job["permissions"] == {"contents": "write"} and "mkdocs gh-deploy --strict" in steps(job)[-1]
    ci = (ROOT / ".ci/run").read_text()
    assert next(run for run in steps(job) if run.startswith("pip install")).split('"')[1] in ci  # the same uv


def test_ci_tests_each_python_that_the_classifiers_name():
    matrix = WORKFLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert [entry["python"] for entry in matrix] == PYTHONS
    page = (ROOT / "docs/install.md").read_text()
    assert re.findall(r"^\| (3\.\d+)\.\d+ \|.*\| runs \|$", page, re.M) == PYTHONS
