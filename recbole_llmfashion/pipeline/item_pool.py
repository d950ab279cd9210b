"""The items of a run, and which of them may be recommended.

A position never changes: new items get the next positions, and a removed item keeps its row, so that a prompt can still
show it to a customer who clicked it before. A pool is immutable; `with_items` and `without` return another one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recbole_llmfashion.data.atomic.checks import ID_BREAK
from recbole_llmfashion.data.catalogue import TEXT_ATTRIBUTES, Catalogue
from recbole_llmfashion.embedding.flat_index import FlatIndex
from recbole_llmfashion.errors import UserError, did_you_mean
from recbole_llmfashion.prompt.texts import clean_titles
from recbole_llmfashion.retrieval.rankers import Encode, Encoders


@dataclass(frozen=True)
class ItemPool:
    """N items by position.

    Args:
        catalogue: their texts.
        live: [N] bool, which may be recommended.
        popularity: [N] training actions; 0 for an item that was added.
        title: [N, d] float32 title embeddings.
        core: [N, d] float32, CORE's rows; None where the run has no ID model.
        clip: [N, d] float32 title embeddings by the CLIP tower; None where the run does not rank by them.
        sentences: [N, d] float32 title embeddings by a sentence encoder; None likewise.
        image: [N, d] float32 of their pictures, zeros for an item without one; None likewise.
    """

    catalogue: Catalogue
    live: np.ndarray
    popularity: np.ndarray
    title: np.ndarray
    core: np.ndarray | None
    clip: np.ndarray | None
    sentences: np.ndarray | None = None
    image: np.ndarray | None = None

    @cached_property
    def positions(self) -> dict[str, int]:
        """Item token to position, removed items included."""
        return {item: position for position, item in enumerate(self.catalogue.item_ids)}

    @cached_property
    def titles(self) -> list[str]:
        """The cleaned titles, as text models and responses use them."""
        return clean_titles(self.catalogue.titles)

    def without(self, item_ids: Iterable[str]) -> "ItemPool":
        """The pool without these items among the live ones.

        Raises:
            UserError: an unknown or removed item, or no live item would be left.
        """
        live = self.live.copy()
        for item in _ids(item_ids):
            position = self.positions.get(item, -1)
            if position < 0 or not live[position]:
                known = (token for token, there in zip(self.catalogue.item_ids, self.live, strict=True) if there)
                hint = "it was removed before" if position >= 0 else did_you_mean(item, known, "no id is similar", 0.8)
                raise UserError(f"remove: no item '{item[:80]}'; {hint}")
            live[position] = False
        if not live.any():
            raise UserError("remove: no item would be left; add others first")
        return replace(self, live=live)

    def with_items(self, frame: pd.DataFrame, encoders: Encoders) -> "ItemPool":
        """The pool with more items, or with removed ones live again, by the texts of a frame.

        An item without an embedding in CORE gets that of the live item with the closest title, and a new item
        has no picture.

        Args:
            frame: item_id, title, and any of the catalogue's attributes.
            encoders: of the pool's vectors.

        Raises:
            UserError: a column is missing or unknown, a cell is wrong, or an item is live already.
        """
        rows = read_items(frame, list(self.catalogue.attributes))
        for item in rows:
            if item in self.positions and self.live[self.positions[item]]:
                raise UserError(f"add: item '{item[:80]}' exists; remove it first, or leave it out")
        titles = clean_titles(row["title"] for row in rows.values())
        fresh = [item for item in rows if item not in self.positions]
        places = dict(self.positions) | {item: len(self.catalogue) + i for i, item in enumerate(fresh)}
        at = np.asarray([places[item] for item in rows], np.int64)
        embedded = encoders.title(titles)
        core = self.core
        if core is not None:
            nearest = FlatIndex(self.title[self.live]).search(embedded, 1)[1][:, 0]
            known = np.asarray([item in self.positions for item in rows])
            core = _placed(core, at[~known], core[self.live][nearest][~known])
        return ItemPool(
            catalogue=self._catalogue(rows, fresh),
            live=_placed(self.live, at, np.ones(len(at), bool)),
            popularity=np.r_[self.popularity, np.zeros(len(fresh), self.popularity.dtype)],
            title=_placed(self.title, at, embedded),
            core=core,
            clip=_encoded(self.clip, at, titles, encoders.clip),
            sentences=_encoded(self.sentences, at, titles, encoders.sentences),
            image=None if self.image is None else np.pad(self.image, ((0, len(fresh)), (0, 0))),
        )

    def _catalogue(self, rows: Mapping[str, Mapping[str, str]], fresh: Sequence[str]) -> Catalogue:
        """The texts of all items, those of `rows` in place of what was known."""

        def column(name: str, before: Sequence[str]) -> tuple[str, ...]:
            old = zip(self.catalogue.item_ids, before, strict=True)
            kept = [rows[item][name] if item in rows else text for item, text in old]
            return (*kept, *(rows[item][name] for item in fresh))

        return Catalogue(
            item_ids=(*self.catalogue.item_ids, *fresh),
            titles=column("title", self.catalogue.titles),
            attributes={name: column(name, texts) for name, texts in self.catalogue.attributes.items()},
        )


def _encoded(
    before: np.ndarray | None, at: np.ndarray, titles: Sequence[str], encode: Encode | None
) -> np.ndarray | None:
    """As `_placed`, with the vectors of titles; None where the pool has none."""
    return None if before is None or encode is None else _placed(before, at, encode(titles))


def _placed(before: np.ndarray, at: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A copy, grown where positions lie beyond its end, with `rows` at these positions."""
    more = max(0, int(at.max(initial=-1)) + 1 - len(before))
    grown = np.concatenate([before, np.zeros((more, *before.shape[1:]), before.dtype)])
    grown[at] = rows
    return grown


def _ids(item_ids: Iterable[str]) -> list[str]:
    """Distinct ids, as texts."""
    if isinstance(item_ids, str | bytes) or not isinstance(item_ids, Iterable):
        raise UserError("remove: expected a list of item ids")
    return list(dict.fromkeys(str(item) for item in item_ids))


def attribute_column(name: str) -> str:
    """The column of a run's catalogue.parquet that holds an attribute; a further one may be named like another column.

    >>> attribute_column("brand"), attribute_column("popularity")
    ('brand', 'attribute:popularity')
    """
    return name if name in TEXT_ATTRIBUTES else f"attribute:{name}"


def check_fields(names: Iterable[object], attributes: Sequence[str], place: str) -> None:
    """Raises UserError if a name is neither item_id, title nor an attribute.

    Args:
        names: of the columns or keys of new items.
        attributes: of the run's items.
        place: of the names, for the message.
    """
    known = ("item_id", "title", *attributes)
    for name in names:
        if name not in known:
            raise UserError(f"{place}: unknown field {str(name)[:80]!r}; an item of this run has {', '.join(known)}")


def read_items(frame: pd.DataFrame, attributes: Sequence[str] = TEXT_ATTRIBUTES) -> dict[str, dict[str, str]]:
    """A frame's texts by item id, as `.item` has them.

    Args:
        frame: item_id, title, and any of the attributes.
        attributes: the columns that are read beside item_id and title.

    Raises:
        UserError: no row, a column that is missing or unknown, an id that is empty, broken or there twice, a title that
            is empty.
    """
    if not isinstance(frame, pd.DataFrame) or not {"item_id", "title"} <= set(frame.columns):
        raise UserError("add: expected a frame with the columns item_id and title")
    check_fields(frame.columns, attributes, "add")
    narrow = frame.select_dtypes(["float16", "float32"]).astype(str)
    # to_dict makes 9.989999771118164 of a float32 that is written 9.99
    frame = frame.assign(**narrow.apply(pd.to_numeric, errors="coerce"))
    rows: dict[str, dict[str, str]] = {}
    for number, record in enumerate(frame.to_dict("records"), 1):
        item, title = _text(record["item_id"]), _text(record["title"])
        if not item or ID_BREAK.search(item):
            raise UserError(f"add: row {number}: expected an item_id without white space or comma, found '{item[:40]}'")
        if item in rows:
            raise UserError(f"add: row {number}: item '{item[:80]}' again; each item once")
        if not title.strip():
            raise UserError(f"add: row {number}: item '{item[:80]}' has no title")
        rows[item] = {"title": title} | {name: _text(record.get(name)) for name in attributes}
    if not rows:
        raise UserError("add: the frame has no row")
    return rows


def _text(cell: Any) -> str:
    """A cell as text, "" where there is none."""
    if not pd.api.types.is_scalar(cell):
        raise UserError(f"add: expected texts in the cells, found a {type(cell).__name__}")
    # a column of whole numbers with an empty cell is one of floats
    text = "" if pd.isna(cell) else str(cell).removesuffix(".0" if isinstance(cell, float) else "")
    if not text.isascii() and text != text.encode("utf-8", "ignore").decode("utf-8"):
        raise UserError(f"add: {text[:40]!r} is not valid Unicode text")
    return text
