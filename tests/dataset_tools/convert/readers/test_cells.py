from hypothesis import given
from hypothesis import strategies as st

from recbole_llmfashion.dataset_tools.convert.readers.cells import as_id, as_path, as_text

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(alphabet=st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(JSON)
def test_any_json_value_becomes_a_valid_cell(value: object) -> None:
    for text in (as_text(value), as_path(value), as_id(value) or ""):
        text.encode("utf-8")
        assert text == text.strip()
    # ids with white space are renamed as one, later, for two of them must not become equal
    assert not set(as_text(value) + as_path(value)) & set("\t\r\n\0")


def test_as_id() -> None:
    values = [" B1 ", 12, "", "  ", True, 1.0, None, ["a"], "\ud800"]
    assert [as_id(value) for value in values] == ["B1", "12", *[None] * 7]


def test_as_text() -> None:
    values = ["a\n\tb ", 8, 2.5, "NaN", None, True, {"a": 1}, ["x", None, ["y"], "z"], "\ud800"]
    assert [as_text(value) for value in values] == ["a b", "8", "2.5", "", "", "", "", "x, z", "?"]


def test_as_path() -> None:
    assert as_path(["Clothing", "Women", "Women", None, "Boots"]) == "Clothing > Women > Boots"
    assert as_path("Hats") == "Hats" and as_path(None) == ""
