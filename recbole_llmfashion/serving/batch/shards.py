"""A folder of responses with one Parquet file per shard.

    <out>/_job.json                run, split, rows and prompts that the responses belong to
          responses-00000.parquet  user, target, prompt (digest), response, items (ids, most likely first)

Each row of the split is one row of one shard. Shards are written atomically; a repeated command computes the missing
ones only. A folder of another run or other rows is rejected.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.changes import write_file
from recbole_llmfashion.files.json_text import parse_json
from recbole_llmfashion.prompt.response import Response
from recbole_llmfashion.serving.batch.prompts import SplitPrompts

JOB = "_job.json"  # Parquet readers ignore names with a leading underscore


class ResponseShards:
    """The response files of one job.

    Args:
        out: output folder; created if missing.
        job: JSON-like description that distinguishes these responses from others.
        prompts: rows and prompts of the split.
        items: item ids by catalogue position.

    Raises:
        UserError: the folder contains other files or other responses.
    """

    def __init__(self, out: Path, job: Mapping[str, Any], prompts: SplitPrompts, items: Sequence[str]) -> None:
        self._out, self._prompts, self._items = out, prompts, items
        description = dict(job) | {"questions": prompts.digest, "shards": prompts.shards}
        if not (out / JOB).is_file():
            if out.exists() and (not out.is_dir() or any(path.name[0] != "." for path in out.iterdir())):
                raise UserError(f"--out: {out} contains other files; choose a new folder")
            write_file(out / JOB, json.dumps(description, indent=1), "--out")
        elif (there := _read(out / JOB)) != description:
            other = ", ".join(name for name in description if there.get(name) != description[name]) or "more"
            raise UserError(
                f"--out: {out} contains responses with another {other}; choose a new folder, or delete that one"
            )

    def path(self, shard: int) -> Path:
        """The path of a shard, which may not exist yet."""
        return self._out / f"responses-{shard:05d}.parquet"

    def missing(self) -> list[int]:
        """Numbers of the shards that do not exist yet."""
        return [shard for shard in range(self._prompts.shards) if not self.path(shard).is_file()]

    def write(self, shard: int, responses: Sequence[Response]) -> None:
        """Writes a shard unless it exists.

        Args:
            shard: number of the shard.
            responses: responses to its prompts, in order.
        """
        if self.path(shard).is_file():
            return
        prompts, first = self._prompts, shard * self._prompts.shard_size
        rows = prompts.rows_of(shard)
        row_responses = [responses[prompt - first] for prompt in prompts.prompt_of[rows]]
        frame = pd.DataFrame(
            {
                "user": [prompts.users[row] for row in rows],
                "target": [prompts.targets[row] for row in rows],
                "prompt": [prompts.keys[prompt] for prompt in prompts.prompt_of[rows]],
                "response": [response.text for response in row_responses],
                "items": [[self._items[item] for item in response.items] for response in row_responses],
            },
            dtype=object,
        )
        write_file(self.path(shard), frame.to_parquet(index=False), "--out")


def _read(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{path}: not readable; choose a new --out, or delete that folder")
    return value
