from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.dataset_tools.id_map import map_text, rename_ids


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


def test_map_text() -> None:
    text = map_text("item_id", {"a b": "a_b", "t\tt\\\n": "t_t"})
    assert text == "item_id\toriginal\na_b\ta b\nt_t\tt\\tt\\\\\\n\n"
