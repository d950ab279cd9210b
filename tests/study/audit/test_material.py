"""What an audit reads beside the run."""

from types import SimpleNamespace

import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.study.audit.material import find_material
from tests.helpers.fakes import write_tiny


def test_customers_who_were_left_out_are_in_order_too(tmp_path):
    write_tiny(tmp_path)
    manifest = SimpleNamespace(local={}, content={"keys": {}})
    assert find_material(manifest, None, tmp_path / "tiny", None).held_out.name == "tiny"
    inter = tmp_path / "tiny/tiny.inter"
    header, first, second, *rest = inter.read_text().splitlines()
    inter.write_text("\n".join([header, second, first, *rest, ""]))
    with pytest.raises(UserError, match=r"tiny\.inter, line 3, column timestamp: .*clean"):
        find_material(manifest, None, tmp_path / "tiny", None)
