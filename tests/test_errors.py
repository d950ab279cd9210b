import sys

import pytest

from recbole_llmfashion.errors import UserError, check_extra, did_you_mean, nearest_name, needs_extra


def test_nearest_name_ignores_case_and_keeps_to_the_cutoff():
    assert nearest_name("sasrec", ["SASRec", "CORE"]) == "SASRec"
    assert nearest_name("abcx", ["abcd"], cutoff=0.75) == "abcd" and nearest_name("abxx", ["abcd"], cutoff=0.75) is None
    assert nearest_name("tilte", ["title", "brand"]) == "title" and nearest_name("zzz", ["title", "brand"]) is None
    assert nearest_name("user_id", ["id", "time"]) == "id" and nearest_name("x", []) is None


def test_did_you_mean_names_one_or_all_or_the_other_hint():
    assert did_you_mean("SASrek", ["CORE", "SASRec"]) == "did you mean 'SASRec'?"
    assert did_you_mean("zzz", ["CORE", "SASRec"]) == "known: CORE, SASRec"
    assert did_you_mean("zzz", []) == "known: nothing"
    assert did_you_mean("zzz", ["CORE"], "see docs/config.md") == "see docs/config.md"
    assert did_you_mean("sale", ["SASRec"], cutoff=0.3) == "did you mean 'SASRec'?"
    assert did_you_mean("sale", ["SASRec"], cutoff=0.9) == "known: SASRec"


def test_needs_extra_names_the_package_and_the_extra():
    with pytest.raises(UserError) as refused, needs_extra("study"):
        import no_such_package.part  # noqa: F401
    assert str(refused.value) == (
        'no_such_package is not installed; run `uv sync --extra study` or `pip install "recbole-llmfashion[study]"`'
    )


def test_check_extra_names_the_first_missing_package_and_imports_none():
    check_extra("study", "antigravity")  # importing it opens a browser
    assert "antigravity" not in sys.modules
    with pytest.raises(UserError) as refused:
        check_extra("study", "antigravity", "no_such_package", "another_missing_one")
    assert str(refused.value) == (
        'no_such_package is not installed; run `uv sync --extra study` or `pip install "recbole-llmfashion[study]"`'
    )


def test_needs_extra_does_not_hide_a_bug_of_this_package():
    with pytest.raises(ImportError, match="no_such_name"), needs_extra("study"):
        from recbole_llmfashion.errors import no_such_name  # noqa: F401
