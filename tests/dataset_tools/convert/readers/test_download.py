"""`--download`: size and licence before the first byte, a hub that is not there, files that are not there."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from recbole_llmfashion.dataset_tools.convert.readers import download
from recbole_llmfashion.dataset_tools.convert.readers.download import HM_FILES, amazon_files, fetch
from recbole_llmfashion.errors import UserError
from tests.helpers.convert import invoke


class Hub:
    """A hub with some files; every call is an event."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], licence: Any = "mit") -> None:
        self.events: list[str] = []
        self.info = SimpleNamespace(
            sha="abc123",
            siblings=[SimpleNamespace(rfilename=name, size=1_500_000) for name in names],
            card_data={"license": licence},
        )
        monkeypatch.setattr(download, "HfApi", lambda: self)
        monkeypatch.setattr(download, "hf_hub_download", self.get)

    def dataset_info(self, repository: str, files_metadata: bool) -> Any:
        assert files_metadata
        return self.info

    def get(self, repository: str, name: str, repo_type: str, revision: str) -> str:
        assert (repo_type, revision) == ("dataset", "abc123")
        self.events.append(name)
        return f"/cache/{name}"


def test_size_and_licence_are_printed_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = amazon_files("All_Beauty")
    hub = Hub(monkeypatch, (*wanted.files, "other"))
    paths = fetch(wanted, hub.events.append)
    assert hub.events == [
        "McAuley-Lab/Amazon-Reviews-2023 at abc123: 2 files, 3.0 MB, licence mit",
        "raw/review_categories/All_Beauty.jsonl",
        "raw/meta_categories/meta_All_Beauty.jsonl",
    ]
    assert paths == [Path("/cache") / name for name in wanted.files]


def test_a_licence_that_is_not_stated_is_printed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, HM_FILES.files, licence=None)
    fetch(HM_FILES, hub.events.append)
    assert "licence not stated on the hub" in hub.events[0]


def test_an_unknown_category_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(monkeypatch, amazon_files("All_Beauty").files)
    with pytest.raises(UserError, match=r"did you mean 'raw/review_categories/All_Beauty\.jsonl'\?"):
        fetch(amazon_files("All_Beuty"), hub.events.append)
    assert hub.events == []


# the base class of the hub's HTTP client, whichever the installed version uses
CLIENTS = HfHubHTTPError.__bases__[0]


@pytest.mark.parametrize(
    "failure", [CLIENTS("no route\nto host"), OfflineModeIsEnabled("offline"), RuntimeError("transfer"), OSError()]
)
def test_failed_download_names_the_alternative(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise failure

    hub = Hub(monkeypatch, HM_FILES.files)
    hub.dataset_info = fails  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"cannot download from microsoft/hnm-search-data .*--transactions") as caught:
        invoke("hm", "--download", "--out", "x")
    assert "\n" not in str(caught.value)


def test_files_and_download_exclude_each_other() -> None:
    with pytest.raises(UserError, match="takes the place of --reviews and --metadata"):
        invoke("amazon-2023", "--download", "All_Beauty", "--reviews", "r", "--out", "x")
    with pytest.raises(UserError, match="takes the place of the four files"):
        invoke("hm", "--download", "--articles", "a", "--out", "x")
