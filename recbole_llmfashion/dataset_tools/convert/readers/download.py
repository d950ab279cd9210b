"""Fetches a source's files through huggingface_hub: says size and licence first, and never starts by itself.

Knows the hub's repositories. Does NOT know what the files hold. The only home of huggingface_hub in the package.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download

from recbole_llmfashion.errors import UserError, did_you_mean


@dataclass(frozen=True)
class HubFiles:
    """Files of one dataset repository; by_hand: what to do without the hub."""

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
    "fetch them elsewhere and name them with --articles, --transactions, --queries-file and --qrels",
)


def amazon_files(category: str) -> HubFiles:
    """Reviews and metadata of a category, as `All_Beauty`."""
    return HubFiles(
        "McAuley-Lab/Amazon-Reviews-2023",
        (f"raw/review_categories/{category}.jsonl", f"raw/meta_categories/meta_{category}.jsonl"),
        "fetch them elsewhere and name them with --reviews and --metadata",
    )


def fetch(wanted: HubFiles, say: Callable[[str], None]) -> list[Path]:
    """Say the size and licence of the files, then fetch them into the hub's own cache.

    Returns:
        their paths, in the order of `wanted.files`.

    Raises:
        UserError: without a network, or where the hub has no such file.
    """
    info = _ask(wanted, lambda: HfApi().dataset_info(wanted.repository, files_metadata=True))
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    for name in wanted.files:
        if name not in sizes:
            raise UserError(f"{wanted.repository} has no file {name}; {did_you_mean(name, sizes)}")
    size = sum(sizes[name] for name in wanted.files)
    say(f"{wanted.repository} at {info.sha}: {len(wanted.files)} files, {size / 1e6:,.1f} MB, {_licence(info)}")
    get = partial(hf_hub_download, wanted.repository, repo_type="dataset", revision=info.sha)
    return [Path(_ask(wanted, partial(get, name))) for name in wanted.files]


def _ask(wanted: HubFiles, call: Callable[[], Any]) -> Any:
    """What the hub answers; whatever fails is one line that says what else can be done."""
    try:
        return call()
    # the hub's own errors, its HTTP client's and its transfer library's have no base in common
    except Exception as error:
        said = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise UserError(f"cannot fetch from {wanted.repository} ({said[0]}); {wanted.by_hand}") from error


def _licence(info: Any) -> str:
    card = info.card_data
    licence = card.get("license") if card is not None else None
    if not licence:
        return "licence not stated on the hub: ask its publishers"
    return f"licence {', '.join(licence) if isinstance(licence, list) else licence}"
