"""A folder of responses, a Parquet file a shard, each written once.

    <out>/_job.json              whose responses these are: run, split, rows, prompts
          responses-00000.parquet  user, target, prompt (its digest), response, items (ids, likeliest first)

A row of the split is a row here, once. A shard is written beside and renamed when it is whole, so what is there is
whole; the same command makes the missing ones, and one of another run or other rows is refused.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.serving.batch.prompts import SplitPrompts
from recbole_llmfashion.stage_store import write_atomic

JOB = "_job.json"  # readers of Parquet pass over names that begin so


class ResponseShards:
    """See the module.

    Args:
        out: the folder; made where it is not there.
        job: what tells these responses from others, JSON-like.
        questions: rows and prompts.
        items: item ids by catalogue position.

    Raises:
        UserError: the folder holds something else.
    """

    def __init__(self, out: Path, job: Mapping[str, Any], questions: SplitPrompts, items: Sequence[str]) -> None:
        self._out, self._questions, self._items = out, questions, items
        told = dict(job) | {"questions": questions.digest, "shards": questions.shards}
        if not (out / JOB).is_file():
            if out.exists() and (not out.is_dir() or any(out.iterdir())):
                raise UserError(f"--out: {out} holds something else than responses; choose a new folder")
            out.mkdir(parents=True, exist_ok=True)
            write_atomic(out / JOB, json.dumps(told, indent=1))
        elif (there := _read(out / JOB)) != told:
            other = ", ".join(name for name in told if there.get(name) != told[name]) or "more"
            raise UserError(
                f"--out: {out} holds other responses (its {other}); choose a new folder, or remove that one"
            )

    def path(self, shard: int) -> Path:
        """Where a shard lies, made or not."""
        return self._out / f"responses-{shard:05d}.parquet"

    def missing(self) -> list[int]:
        """Shards that are yet to be made."""
        return [shard for shard in range(self._questions.shards) if not self.path(shard).is_file()]

    def write(self, shard: int, responses: Sequence[Response]) -> None:
        """Writes a shard; one that is there stands.

        Args:
            responses: to its prompts, in their order.
        """
        if self.path(shard).is_file():
            return
        asked, first = self._questions, shard * self._questions.shard_size
        rows = asked.rows_of(shard)
        said = [responses[place - first] for place in asked.prompt_of[rows]]
        frame = pd.DataFrame(
            {
                "user": [asked.users[row] for row in rows],
                "target": [asked.targets[row] for row in rows],
                "prompt": [asked.keys[place] for place in asked.prompt_of[rows]],
                "response": [response.text for response in said],
                "items": [[self._items[item] for item in response.items] for response in said],
            },
            dtype=object,
        )
        write_atomic(self.path(shard), frame.to_parquet(index=False))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not readable; choose a new --out, or remove that folder")
    return found
