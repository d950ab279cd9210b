"""docs/config.md is what tools/config_docs.py writes, and names every key, field and former name."""

from recbole_llmfashion.config.dict_keys import DICT_KEYS
from recbole_llmfashion.config.keys import RENAMED_KEYS, properties_folder
from recbole_llmfashion.config.yaml_files import read_yaml
from tools import config_docs


def test_the_page_is_up_to_date(capsys):
    assert config_docs.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_page_is_an_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(config_docs, "PAGE", tmp_path / "config.md")
    assert config_docs.main(["--check"]) == 1  # not there
    (tmp_path / "config.md").write_text(config_docs.page().replace("`seed`", "`sead`"))
    assert config_docs.main(["--check"]) == 1
    assert "run python tools/config_docs.py" in capsys.readouterr().err
    assert config_docs.main(["--chek"]) == 2


def test_everything_is_on_the_page():
    text = config_docs.page()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    root = properties_folder()
    names = ("overall", "dataset/default", "pretrain")
    files = [*(root / f"{name}.yaml" for name in names), *(root / "model").glob("*.yaml")]
    keys = [key for path in files for key in read_yaml(path)]
    fields = [field for own in DICT_KEYS.values() for field in own.fields]
    named = {row.split("`")[1] for row in rows}
    assert {*keys, *fields, *RENAMED_KEYS} - named == set()
    assert "| `margin` | float | `0.2` | a number above 0 | margin of the triplet loss, in cosine units |" in rows
    assert "| `title_epochs` | `title_model: {epochs: ..}` |  |" in rows
    assert any(
        row.startswith("| `use_tuned` | bool | `False` | True or False | use properties/tuned/&lt;dataset>/")
        for row in rows
    )


def test_arguments_of_a_docstring():
    class Settings:
        """Some.

        Args:
            width: of it,
                in two lines.
            layers: number of layers.

        >>> 1
        1
        """

    assert config_docs.arguments(Settings) == {"width": "of it, in two lines", "layers": "number of layers"}
