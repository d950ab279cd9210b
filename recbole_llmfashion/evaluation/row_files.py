"""Rows of studies in files without the tokens of users and items, so that they can be published and read elsewhere.

    <folder>/<stage>.json    the row's name (model, keys, engine, dataset), the fields of its result, and its ranks

A stage is named after a row's model, keys, engine, data and seed: a file of this name is the row, whoever made it.
`ranks` has one number per test row, in the order of user tokens. The tokens are in the dataset alone; `test_rows` is
their SHA-256. The first items of each list are not in the file, so `top` of a result that was read is empty.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.collector import full_rank_mrr
from recbole_llmfashion.evaluation.result import Result
from recbole_llmfashion.evaluation.significance import metric_values
from recbole_llmfashion.files.changes import write_file
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.stage_store import sha256_texts

OPTION = "--rows_path"
# RecBole's metrics at a cut-off, by the one of `metric_values` that they are with one target per row; precision is / k
_OF_RANKS = {"recall": "recall", "hit": "recall", "precision": "recall", "ndcg": "ndcg", "mrr": "mrr", "map": "mrr"}


@dataclass(frozen=True)
class RowFiles:
    """The files of one folder, or of none, where nothing is read and nothing written.

    Args:
        folder: made when the first row is written.
    """

    folder: Path | None

    def has(self, stage: str) -> bool:
        """Whether a row of this name is here."""
        return self.folder is not None and (self.folder / f"{stage}.json").is_file()

    def engines(self) -> dict[str, tuple[str, str]]:
        """Model and engine of each row, by stage.

        Raises:
            UserError: a file is damaged.
        """
        found = {}
        for path in sorted(self.folder.glob("*.json")) if self.folder is not None else ():
            with _naming(path):
                row = parse_json(path.read_text(encoding="utf-8"))["row"]
                found[path.stem] = (row["model"], row["engine"])
        return found

    def write(self, name: Mapping[str, Any], result: Result) -> None:
        """Writes a row, if there is a folder and the row is not here yet.

        Args:
            name: what the row is known by in results.json, its stage among it.
            result: of the row.

        Raises:
            UserError: the folder cannot be written.
        """
        stage = name["stage"]
        if self.folder is None or self.has(stage):
            return
        ranks = _by_user(result.ranks)
        fields = {key: value for key, value in vars(result).items() if key != "ranks"}
        content = {
            "row": dict(name),
            "result": fields,
            "test_rows": _sha256(ranks),
            "ranks": " ".join(map(str, ranks["rank"])),
        }
        write_file(self.folder / f"{stage}.json", f"{json.dumps(content, indent=1, ensure_ascii=False)}\n", OPTION)

    def read(self, stage: str, test_rows: pd.DataFrame, decimals: int) -> Result:
        """The result of a row that is here.

        Args:
            stage: name of its stage.
            test_rows: columns user and target, tokens of the dataset's test rows.
            decimals: the row's `metric_decimal_place`.

        Raises:
            UserError: the file is damaged, or of other test rows.
        """
        assert self.folder is not None
        path, rows = self.folder / f"{stage}.json", _by_user(test_rows)
        with _naming(path):
            content = parse_json(path.read_text(encoding="utf-8"))
            ranks = np.array(content["ranks"].split(), np.int64)
            rows = rows.assign(rank=ranks, top=pd.Series([[]] * len(rows), dtype=object))
            result = Result(ranks=rows, **content["result"])
            whole = content["test_rows"] == _sha256(rows) and follow_from_ranks(result.metrics, rows, decimals)
        if not whole:
            raise UserError(f"{OPTION}: {path} is of other test rows, or was changed; delete it, and it is made again")
        return result


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns what a damaged file raises into one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{OPTION}: {path} is not a row ({error}); delete it, and it is made again") from error


def follow_from_ranks(metrics: Mapping[str, float], rows: pd.DataFrame, decimals: int) -> bool:
    """Whether metrics are those of the ranks; those of the lists' other items are not in a file.

    Beside GAUC, RecBole's own collector breaks ties by another order than that of the ranks (collector.py).
    """
    if not isclose(full_rank_mrr(rows), metrics["mrr"]):
        return False
    for name, value in metrics.items() if "gauc" not in metrics else ():
        kind, _, k = name.partition("@")
        if k and kind in _OF_RANKS:
            mean = metric_values(rows["rank"].to_numpy(), f"{_OF_RANKS[kind]}@{k}").mean()
            mean /= int(k) if kind == "precision" else 1
            if abs(value - mean) > 0.5 * 10.0**-decimals + 1e-9:  # RecBole rounds
                return False
    return True


def _by_user(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["user", "target"], ignore_index=True)


def _sha256(rows: pd.DataFrame) -> str:
    return sha256_texts([*rows["user"], *rows["target"]])
