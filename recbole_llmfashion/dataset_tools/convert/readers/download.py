"""Downloads a source's files with huggingface_hub, after printing their size and licence."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download

from recbole_llmfashion.errors import UserError, did_you_mean


@dataclass(frozen=True)
class HubFiles:
    """Files of a dataset repository.

    Args:
        repository: owner/name.
        files: paths in the repository.
        by_hand: what to do if the download fails, for the message.
    """

    repository: str
    files: tuple[str, ...]
    by_hand: str


HM_FILES = HubFiles(
    "microsoft/hnm-search-data",
    (
        "data/raw/articles.csv",
        "data/raw/transactions_train.csv",
        "data/search/queries.csv",
        "data/search/qrels.csv",
    ),
    "download them elsewhere and pass them as --articles, --transactions, --queries-file and --qrels",
)


def amazon_files(category: str) -> HubFiles:
    """Reviews and metadata of a category, such as `All_Beauty`."""
    return HubFiles(
        "McAuley-Lab/Amazon-Reviews-2023",
        (f"raw/review_categories/{category}.jsonl", f"raw/meta_categories/meta_{category}.jsonl"),
        "download them elsewhere and pass them as --reviews and --metadata",
    )


def fetch(hub_files: HubFiles, log: Callable[[str], None]) -> list[Path]:
    """Log the size and licence of the files, then download them into the hub's cache.

    Args:
        hub_files: the files.
        log: called with one line of text.

    Returns:
        their paths, in the order of `hub_files.files`.

    Raises:
        UserError: the hub cannot be reached or has no such file.
    """
    info = _call(hub_files, lambda: HfApi().dataset_info(hub_files.repository, files_metadata=True))
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    for name in hub_files.files:
        if name not in sizes:
            raise UserError(f"{hub_files.repository} has no file {name}; {did_you_mean(name, sizes)}")
    size = sum(sizes[name] for name in hub_files.files)
    log(f"{hub_files.repository} at {info.sha}: {len(hub_files.files)} files, {size / 1e6:,.1f} MB, {_licence(info)}")
    get = partial(hf_hub_download, hub_files.repository, repo_type="dataset", revision=info.sha)
    return [Path(_call(hub_files, partial(get, name))) for name in hub_files.files]


def _call(hub_files: HubFiles, call: Callable[[], Any]) -> Any:
    """The result of a call to the hub; any failure becomes a UserError that names an alternative."""
    try:
        return call()
    # the errors of the hub, of its HTTP client and of its transfer library have no common base class
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"cannot download from {hub_files.repository} ({reason}); {hub_files.by_hand}") from error


def _licence(info: Any) -> str:
    card = info.card_data
    licence = card.get("license") if card is not None else None
    if not licence:
        return "licence not stated on the hub: ask the publisher"
    return f"licence {', '.join(licence) if isinstance(licence, list) else licence}"
