"""canaries.json of a dataset with planted canaries: what was planted, how often, and what was made alike and left out.

A canary is an invented query and an invented product that customers click after it (Carlini et al. 2019, arXiv
1802.08232). A candidate is made the same way and is in no training row: what a model says of candidates is chance.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError

CANARIES = "canaries.json"
FORMAT = 1


@dataclass(frozen=True)
class Canary:
    """An invented query, and the invented product that is clicked after it.

    Args:
        query: as typed.
        item: id of the product.
        title: of the product.
        count: customers who typed the query once and clicked the product once; 0 for none.
    """

    query: str
    item: str
    title: str
    count: int = 0


@dataclass(frozen=True)
class Planted:
    """The content of canaries.json.

    Args:
        canaries: with their counts; those of count 0 are measured like the others, and are in no row.
        candidates: what each canary is ranked among; all of count 0.
        held_out: name of the folder beside the dataset with customers that the dataset does not have; "" for none.
        seed: of the plant.
    """

    canaries: Sequence[Canary]
    candidates: Sequence[Canary]
    held_out: str
    seed: int

    @property
    def items(self) -> set[str]:
        """The ids of all invented products."""
        return {one.item for one in (*self.canaries, *self.candidates)}

    def as_text(self) -> str:
        """As JSON."""
        return f"{json.dumps({'format': FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)}\n"


def read_canaries(path: Path) -> Planted:
    """Reads canaries.json.

    Raises:
        UserError: it cannot be read, or is not of that form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] == FORMAT:
            groups = [[_canary(one) for one in content[name]] for name in ("canaries", "candidates")]
            if all(groups):
                return Planted(groups[0], groups[1], str(content["held_out"]), int(content["seed"]))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}); give the file that --plant wrote"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UserError(f"{path}: is no list of canaries as `recbole-llmfashion audit --plant` writes it; plant again")


def _canary(value: Any) -> Canary:
    one = Canary(**value)
    if not all(isinstance(text, str) and text for text in (one.query, one.item, one.title)):
        raise ValueError("expected texts")
    if isinstance(one.count, bool) or not isinstance(one.count, int) or one.count < 0:
        raise ValueError("expected a count")
    return one
