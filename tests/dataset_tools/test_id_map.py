from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.dataset_tools.id_map import rename_ids, write_map
from recbole_llmfashion.errors import UserError


@given(st.lists(st.text(alphabet="ab_2 ,\t\u00a0\0", max_size=5)))
def test_new_ids_are_distinct_and_valid(ids: list[str]) -> None:
    renamed = rename_ids(ids)
    names = [renamed.get(i, i) for i in dict.fromkeys(ids)]
    assert len(set(names)) == len(names)
    assert not any(set(name) & set(" ,\t\u00a0\0") for name in names)
    assert rename_ids(names) == {}


def test_rename_ids() -> None:
    assert rename_ids(["a b", "c", "a,b", "a_b", "a b"]) == {"a b": "a_b_2", "a,b": "a_b_3"}
    assert rename_ids(["\0", " \t,"]) == {"\0": "_", " \t,": "__2"}


def test_write_map(tmp_path: Path) -> None:
    path = tmp_path / "shop" / "item_map.tsv"
    write_map(path, "item_id", {"a b": "a_b", "t\tt\\\n": "t_t"})
    assert path.read_text() == "item_id\toriginal\na_b\ta b\nt_t\tt\\tt\\\\\\n\n"
    write_map(path, "item_id", {})
    assert not path.exists()


def test_write_map_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_map(tmp_path / "shop" / "item_map.tsv", "item_id", {"a b": "a_b"})
