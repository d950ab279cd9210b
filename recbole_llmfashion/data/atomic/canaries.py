"""canaries.json of a dataset with planted canaries: what was planted, how often, and what was made alike and left out.

A canary is an invented query and an invented product that customers click after it (Carlini et al. 2019, arXiv
1802.08232). In a dataset without searches, customers buy two invented products, one after the other. A candidate is
made the same way and is in no training row: what a model says of candidates is chance.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_text import parse_json

CANARIES = "canaries.json"
FORMAT = 1


@dataclass(frozen=True)
class Canary:
    """An invented product, and what customers did just before they took it.

    Args:
        query: as typed, before a click on the product; "" where another product was bought before it.
        item: id of the product.
        title: of the product.
        count: customers who did both once; 0 for none.
        before: id of another invented product, bought before this one is; "" with a query.
    """

    query: str
    item: str
    title: str
    count: int = 0
    before: str = ""


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
        return {item for one in (*self.canaries, *self.candidates) for item in (one.before, one.item) if item}

    @property
    def pairs(self) -> bool:
        """Whether the canaries are pairs of purchases, as in a dataset without searches."""
        return any(one.before for one in (*self.canaries, *self.candidates))

    def as_text(self) -> str:
        """As JSON."""
        return f"{json.dumps({'format': FORMAT, **asdict(self)}, indent=1, ensure_ascii=False)}\n"


def read_canaries(path: Path) -> Planted:
    """Reads canaries.json.

    Raises:
        UserError: it cannot be read, or is not of that form.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        if content["format"] == FORMAT:
            groups = [[_canary(one) for one in content[name]] for name in ("canaries", "candidates")]
            if all(groups):
                return Planted(groups[0], groups[1], str(content["held_out"]), int(content["seed"]))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}); give the file that --plant wrote"
        ) from error
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError(f"{path}: is no list of canaries as `recbole-llmfashion audit --plant` writes it; plant again")


def _canary(value: Any) -> Canary:
    one = Canary(**value)
    if not all(isinstance(text, str) for text in (one.query, one.item, one.title, one.before)):
        raise ValueError("expected texts")
    if not (one.item and one.title and bool(one.query) is not bool(one.before)):
        raise ValueError("expected a product, and a query or another product before it")
    if isinstance(one.count, bool) or not isinstance(one.count, int) or one.count < 0:
        raise ValueError("expected a count")
    return one
