"""Shared by the tests of studies: requests, results with known numbers, and access to cells."""

import pandas as pd

from recbole_llmfashion.evaluation.result import Result
from recbole_llmfashion.evaluation.significance import metric_values
from tests.helpers.command_lines import study_request

TARGETS = {"u1": "16", "u2": "13", "u3": "14"}  # the final purchase of each user in fakes.INTER
METRICS = ("recall@10", "ndcg@10", "mrr@10", "mrr")


def request_for(shop, *words, study="compare"):
    """A request for the dataset `tiny`."""
    places = [f"--data_path={shop}", f"--checkpoint_dir={shop / 'saved'}", "--show_progress=False"]
    dataset = [] if any(word.startswith("--source") for word in words) else ["--dataset=tiny"]
    seeds = [] if any(word.startswith("--seeds") for word in words) else ["--seeds=1"]
    return study_request(study, [*dataset, *places, *seeds, "--topk=[3]", "--valid_metric=NDCG@3", *words])


def fake_result(metrics, ranks=(1, 2, 3), **details):
    """A result with these metrics and these ranks of the users u1, u2, u3."""
    frame = pd.DataFrame({"user": list(TARGETS), "target": list(TARGETS.values()), "rank": list(ranks)})
    frame["top"] = [["16", "11"], ["12", "13"], ["15", "14"]]
    return Result(dict(metrics), {}, frame, {"train": 60.0, "total": 61.0}, [], 100.0, details)


def result_of(ranks, **details):
    """A result whose metrics are computed from its ranks."""
    values = {metric: float(metric_values(pd.Series(ranks).to_numpy(), metric).mean()) for metric in METRICS}
    return fake_result(values, ranks, **details)


def cells(table, key):
    """The cells of a column by label of the row."""
    return {row.label: row.cells.get(key) for row in table.rows}
