import pytest

from recbole_llmfashion.dataset_tools.simulate.customers.queries import misspell


@pytest.mark.parametrize(("how", "expected"), [(0.0, "red sohes"), (0.4, "red soes"), (0.9, "red shhoes")])
def test_misspell(how: float, expected: str) -> None:
    assert misspell("red shoes", 0.5, 0.0, how) == expected
    assert misspell("red hat", 0.5, 0.0, how) == "red hat"
