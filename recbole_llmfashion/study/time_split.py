"""Leave-one-out beside a global time split (Ji et al., arXiv 2010.11060; 2507.16289): what the future gives away.

Under leave-one-out a model trains on actions that other users took after a test user's moment, and may recommend what
did not exist then. It needs dates; on order-only data it says "not applicable".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.folder import read_folder
from recbole_llmfashion.data.dataset import RECOMMEND_TIME
from recbole_llmfashion.data.timeline import ORDER_ONLY_BELOW
from recbole_llmfashion.study.compare import entries
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Column, Document, ReportTable, TableRow
from recbole_llmfashion.study.request import StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner

UNFILTERED = "leave-one-out, unfiltered clicks"
PROTOCOLS: dict[str, dict[str, object]] = {
    "leave-one-out": {},
    "time split": {"split_by": "time"},
    UNFILTERED: {"click_filter": "none"},
}
FUTURE = Column("future", "future items@10", "share")


def time_split(request: StudyRequest, runner: Runner) -> Document:
    """Runs every model under each protocol."""
    title = f"Leave-one-out and a global time split on {request.dataset}"
    files = read_folder(runner.folder(request.dataset), request.dataset)
    if not has_dates(files.interactions["timestamp"]):
        document = assemble.document(request, runner, title, {})
        why = "not applicable: the timestamps are an order, not dates"
        lines = [TableRow(name, reason=why) for name in PROTOCOLS]
        document.tables = [ReportTable("time_split", title, assemble.METRICS, lines, label="protocol")]
        return document
    clicked = bool((files.interactions["action"] == "click").any())
    protocols = {name: keys for name, keys in PROTOCOLS.items() if clicked or name != UNFILTERED}
    chosen = {
        protocol: [Entry(f"{entry.label}, {protocol}", entry.model, keys) for entry in entries(request.models)]
        for protocol, keys in protocols.items()
    }
    rows = runner.run([entry for of_one in chosen.values() for entry in of_one])
    document = assemble.document(request, runner, title, rows)
    born = first_seen(files.interactions, files.items)
    for protocol, keys in protocols.items():
        moments = test_moments(runner, request.dataset, keys)
        named = {entry.label.removesuffix(f", {protocol}"): rows[entry.label] for entry in chosen[protocol]}
        lines = [with_future(assemble.row(label, found), found, moments, born) for label, found in named.items()]
        name = re.sub(r"\W+", "_", protocol)
        document.tables.append(ReportTable(name, protocol, [*assemble.METRICS, FUTURE], lines))
        document.figures.append(assemble.bars(name, f"{request.dataset}, {protocol}", lines))
    if not clicked:
        lines = [TableRow(UNFILTERED, reason="not applicable: the log has no clicks to filter")]
        document.tables.append(ReportTable("unfiltered", UNFILTERED, assemble.METRICS, lines, label="protocol"))
    document.tables.append(facts(request, runner, files.interactions, protocols))
    document.notes.append(
        "future items@10: share of the first ten places that hold an item which nobody had acted on (or which was not "
        "yet on sale, where `.item` has available_from) at the moment of the recommendation."
    )
    return document


def with_future(line: TableRow, outcomes: Sequence[Outcome], moments: Mapping[str, float], born: pd.Series) -> TableRow:
    """Adds the future-item rate, mean over seeds."""
    if not line.reason:
        line.cells["future"] = float(
            np.mean([future_rate(result.ranks, moments, born) for result in assemble.results(outcomes)])
        )
    return line


def has_dates(times: pd.Series) -> bool:
    """Whether timestamps are dates and not an order."""
    return float(times.min()) >= ORDER_ONLY_BELOW


def first_seen(interactions: pd.DataFrame, items: pd.DataFrame) -> pd.Series:
    """Seconds at which each item token came to be: available_from where it is known, else its first action."""
    first = interactions.groupby("item_id")["timestamp"].min().reindex(items["item_id"])
    if "available_from" in items:
        known = pd.Series(items["available_from"].to_numpy(), index=items["item_id"])
        return known.where(known.notna(), first)
    return first


def test_moments(runner: Runner, dataset: str, keys: Mapping[str, object]) -> dict[str, float]:
    """The moment of each test user's recommendation, by user token."""
    loaders = runner.loaders(dataset, **keys)
    feat = loaders.test._dataset.inter_feat
    users = loaders.dataset.id2token(loaders.dataset.uid_field, feat[loaders.dataset.uid_field].numpy())
    return dict(zip(users.tolist(), feat[RECOMMEND_TIME].numpy().tolist(), strict=True))


def future_rate(ranks: pd.DataFrame, moments: Mapping[str, float], born: pd.Series) -> float:
    """Share of the recommended places that hold an item of the future; an item without any known moment is one.

    Args:
        ranks: columns user, top.
        moments: by user token, seconds.
        born: by item token, seconds; NaN where nothing is known.
    """
    heads = np.stack(ranks["top"].to_list())
    times = born.reindex(heads.ravel()).fillna(np.inf).to_numpy().reshape(heads.shape)
    asked = ranks["user"].map(moments).to_numpy(np.float64)
    return float((times > asked[:, None]).mean())


def facts(
    request: StudyRequest, runner: Runner, interactions: pd.DataFrame, protocols: Mapping[str, Mapping[str, Any]]
) -> ReportTable:
    """What a reader must know of the log: ties in time, targets that stand in their history, rows by protocol."""
    tied = interactions.duplicated(["user_id", "timestamp"], keep=False).mean()
    lines = [TableRow("item actions that share a timestamp of their user", {"share": float(tied)}, ranked=False)]
    for protocol, keys in protocols.items():
        loaders = runner.loaders(request.dataset, **keys)
        share = repeated_targets(dict(loaders.test._dataset.model_inputs()), loaders.dataset.iid_field)
        lines.append(TableRow(f"targets that stand in their history, {protocol}", {"share": share}, ranked=False))
        for part in ("train", "valid", "test"):
            count = len(getattr(loaders, part)._dataset)
            lines.append(TableRow(f"{part} rows, {protocol}", {"count": count}, ranked=False))
    return ReportTable(
        "facts", "The log", [Column("share", "%", "share"), Column("count", "count", "count")], lines, label=""
    )


def repeated_targets(rows: Mapping[str, np.ndarray], item_field: str) -> float:
    """Share of rows whose target is among the items that the user took before, as far back as a baseline sees."""
    history, target = rows[f"{item_field}_list"], rows[item_field]
    return float((history == target[:, None]).any(axis=1).mean())
