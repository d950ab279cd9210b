"""Invalid folders."""

import pytest

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.analysis.measure import measure
from tests.helpers import fakes


def test_milliseconds(tmp_path):
    inter = fakes.INTER.replace("1702900000", "1702900000000")
    with pytest.raises(UserError, match=r"tiny\.inter, line \d+, column timestamp: .* probably milliseconds"):
        measure(read_folder(fakes.write_tiny(tmp_path, inter=inter)))


def test_unclean_folder(tmp_path):
    rows = fakes.INTER.splitlines()
    inter = "\n".join([*rows[:-1], rows[-1].replace("purchase", "click"), ""])
    with pytest.raises(UserError, match="clean"):
        measure(read_folder(fakes.write_tiny(tmp_path, inter=inter)))
