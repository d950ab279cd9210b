"""YAML files of keys."""

import pytest

from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.errors import UserError


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [("epochs: 4\n\nepochs: 5\n", 3, "epochs"), ("seed: 1\nclip:\n  layers: 1\n  layers: 1\n", 4, "layers")],
)
def test_a_key_that_is_given_twice(tmp_path, text, line, key):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        read_yaml(path)
    assert str(raised.value) == f"{path}, line {line}: {key} is given twice; leave one out"


def test_merged_keys_may_be_given_again(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("base: &base {layers: 1, epochs: 2}\nclip: {<<: *base, epochs: 3}\n")
    assert read_yaml(path)["clip"] == {"layers": 1, "epochs": 3}
