import platform

import torch

from recbole_llmfashion import __version__
from recbole_llmfashion.versions import versions


def test_versions():
    table = versions()
    assert list(table)[:2] == ["python", "recbole_llmfashion"]
    assert table["python"] == platform.python_version()
    assert table["recbole_llmfashion"] == __version__
    assert torch.__version__.startswith(table["torch"].split("+")[0])
