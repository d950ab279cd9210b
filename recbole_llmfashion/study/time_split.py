"""Leave-one-out compared with a global time split (Ji et al., arXiv 2010.11060; 2507.16289): leakage from the future.

Under leave-one-out a model trains on actions that other users took after the time of a test row, and may recommend
items that did not exist at that time. The study needs dates; on data with an order only it is "not applicable".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.time_order import time_order
from recbole_llmfashion.data.dataset import RECOMMEND_TIME, LLMFashionRecDataset
from recbole_llmfashion.data.loaders import rows_of, target_tokens
from recbole_llmfashion.data.timeline import ORDER_ONLY_BELOW
from recbole_llmfashion.study.compare import entries
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Column, Document, ReportTable, TableRow
from recbole_llmfashion.study.request import StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner

UNFILTERED = "leave-one-out, unfiltered clicks"
PROTOCOLS: dict[str, dict[str, object]] = {
    "leave-one-out": {"split_by": "user"},
    "time split": {"split_by": "time"},
    UNFILTERED: {"split_by": "user", "click_filter": "none"},
}
FUTURE = Column("future", "future items@10", "share")


def time_split(request: StudyRequest, runner: Runner) -> Document:
    """Runs every model under each protocol."""
    title = f"Leave-one-out and a global time split on {request.dataset}"
    files = runner.files(request.dataset)
    if not has_dates(files.interactions["timestamp"]):
        document = assemble.document(request, runner, title, {})
        why = "not applicable: the timestamps are an order, not dates"
        lines = [TableRow(name, reason=why) for name in PROTOCOLS]
        document.tables = [ReportTable("time_split", title, assemble.METRICS, lines, label="protocol")]
        return document
    has_clicks = bool((files.interactions["action"] == "click").any())
    protocols = {name: keys for name, keys in PROTOCOLS.items() if has_clicks or name != UNFILTERED}
    rows = runner.run([entry for protocol, keys in protocols.items() for entry in _entries(request, protocol, keys)])
    document = assemble.document(request, runner, title, rows)
    available = first_available(files.interactions, files.items)
    for protocol, keys in protocols.items():
        times = recommendation_times(runner, request.dataset, keys)
        lines = [
            with_future(
                assemble.row(entry.label.removesuffix(f", {protocol}"), rows[entry.label]),
                rows[entry.label],
                times,
                available,
            )
            for entry in _entries(request, protocol, keys)
        ]
        name = re.sub(r"\W+", "_", protocol)
        document.tables.append(ReportTable(name, protocol, [*assemble.METRICS, FUTURE], lines))
        document.figures.append(assemble.bars(name, f"{request.dataset}, {protocol}", lines))
    if not has_clicks:
        lines = [TableRow(UNFILTERED, reason="not applicable: the log has no clicks to filter")]
        document.tables.append(ReportTable("unfiltered", UNFILTERED, assemble.METRICS, lines, label="protocol"))
    document.tables.append(facts(request, runner, files.interactions, protocols))
    document.notes.append(
        "future items@10: share of the first ten ranks that hold an item without an earlier action by any user (or, if "
        "`.item` has available_from, not yet on sale) at the time of the recommendation."
    )
    return document


def _entries(request: StudyRequest, protocol: str, keys: Mapping[str, object]) -> list[Entry]:
    """One row per model under one protocol."""
    return [
        replace(entry, label=f"{entry.label}, {protocol}", keys={**entry.keys, **keys})
        for entry in entries(request.models)
    ]


def with_future(
    line: TableRow, outcomes: Sequence[Outcome], times: Mapping[str, float], available: pd.Series
) -> TableRow:
    """Adds the share of future items, averaged over seeds."""
    if not line.reason:
        line.cells["future"] = float(
            np.mean([future_rate(result.ranks, times, available) for result in assemble.results(outcomes)])
        )
    return line


def has_dates(times: pd.Series) -> bool:
    """Whether timestamps are dates instead of an order."""
    return float(times.min()) >= ORDER_ONLY_BELOW


def first_available(interactions: pd.DataFrame, items: pd.DataFrame) -> pd.Series:
    """Time in seconds at which each item became available: available_from if known, else its first action."""
    first = interactions.groupby("item_id")["timestamp"].min().reindex(items["item_id"])
    if "available_from" in items:
        listed = pd.Series(items["available_from"].to_numpy(), index=items["item_id"])
        return listed.where(listed.notna(), first)
    return first


def recommendation_times(runner: Runner, dataset: str, keys: Mapping[str, object]) -> dict[str, float]:
    """Time of the recommendation of each test user, by user token."""
    loaders = runner.loaders(dataset, **keys)
    times = rows_of(loaders.test).inter_feat[RECOMMEND_TIME]
    return dict(zip(target_tokens(loaders)["user"], times.numpy().tolist(), strict=True))


def future_rate(ranks: pd.DataFrame, times: Mapping[str, float], available: pd.Series) -> float:
    """Share of the recommended items that became available after the recommendation.

    Args:
        ranks: columns user, top.
        times: time of the recommendation by user token, seconds.
        available: availability time by item token, seconds; an item with NaN counts as a future item.
    """
    heads = np.stack([top[:10] for top in ranks["top"]])
    item_times = available.reindex(heads.ravel()).fillna(np.inf).to_numpy().reshape(heads.shape)
    user_times = ranks["user"].map(times).to_numpy(np.float64)
    return float((item_times > user_times[:, None]).mean())


def facts(
    request: StudyRequest, runner: Runner, interactions: pd.DataFrame, protocols: Mapping[str, Mapping[str, Any]]
) -> ReportTable:
    """Facts on the log: equal timestamps, targets that are in their history, number of rows by protocol."""
    share = time_order(interactions).equal_times
    lines = [TableRow("neighbouring actions of a user that share a timestamp", {"share": share}, ranked=False)]
    for protocol, keys in protocols.items():
        loaders = runner.loaders(request.dataset, **keys)
        share = repeated_targets(rows_of(loaders.test))
        lines.append(TableRow(f"targets in their own history, {protocol}", {"share": share}, ranked=False))
        for part in ("train", "valid", "test"):
            count = len(rows_of(getattr(loaders, part)))
            lines.append(TableRow(f"{part} rows, {protocol}", {"count": count}, ranked=False))
    return ReportTable(
        "facts", "The log", [Column("share", "%", "share"), Column("count", "count", "count")], lines, label=""
    )


def repeated_targets(rows: LLMFashionRecDataset) -> float:
    """Share of rows whose target is in the history of the row (truncated as for the baselines)."""
    columns = dict(rows.model_inputs())
    history, target = columns[f"{rows.iid_field}{rows.config['LIST_SUFFIX']}"], columns[rows.iid_field]
    return float((history == target[:, None]).any(axis=1).mean())
