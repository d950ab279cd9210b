"""The small folder of the analysis tests."""

import pytest

from recbole_llmfashion.data.atomic.folder import read_folder
from tests.helpers import fakes


@pytest.fixture
def tiny(tmp_path):
    return read_folder(fakes.write_tiny(tmp_path))
