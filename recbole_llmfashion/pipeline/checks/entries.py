"""The entries of a JSON file of a run folder, with the errors that name the file and the entry."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.digests import unreadable

REMEDY = "copy the run again, or run the main job again"
_MOST = 2**20  # of every number of tokens, items or prompts
# 0 for the others
_LEAST = {"heads": 1, "history": 1, "max_length": 1, "max_new_tokens": 1, "batch_size": 1, "neighbors": 1, "k": 1}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Around the reading of a file or folder of a run; any error of its reader becomes a UserError that names it."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # readers of Parquet, safetensors, FAISS, tokenizers and torch have no common base class
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{path}: cannot be read ({type(error).__name__}: {reason}); {REMEDY}") from error


def refuse(path: Path, what: str) -> NoReturn:
    """Raises the UserError of a file that cannot be used."""
    raise UserError(f"{path}: {what}; {REMEDY}")


def has_type(value: Any, kind: Any) -> bool:
    """Whether a JSON value has the type of a dataclass field; numbers are finite."""
    if get_origin(kind) is Literal:
        return any(type(value) is type(word) and value == word for word in get_args(kind))
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    return type(value) is kind if isinstance(kind, type) else isinstance(value, Mapping)


class Entries:
    """The entries of one file, with their place for messages.

    Args:
        path: of the file.
        value: of JSON.
        place: dotted names of the entries above.
    """

    def __init__(self, path: Path, value: Any, place: str = "") -> None:
        self.path, self.place = path, place
        if not isinstance(value, Mapping):
            refuse(path, f"{place or 'its content'} is not a table of entries")
        self.value: Mapping[str, Any] = value

    def inside(self, name: str) -> "Entries":
        """The entries of one entry."""
        return Entries(self.path, self.get(name, object), f"{self.place}{name}.")

    def get(self, name: str, kind: Any) -> Any:
        """One entry of a type; `object` for any."""
        if name not in self.value:
            refuse(self.path, f"lacks the entry {self.place}{name}")
        value = self.value[name]
        if kind is not object and not has_type(value, kind):
            refuse(self.path, f"{self.place}{name} has the wrong type or is not finite, found {str(value)[:40]!r}")
        if kind is int and not _LEAST.get(name, 0) <= value <= (2**63 - 1 if name == "seed" else _MOST):
            refuse(self.path, f"{self.place}{name} is out of range, found {value}")
        return value

    def one_of(self, name: str, words: Any) -> Any:
        """One entry that is one of some words."""
        value = self.get(name, object)
        if not any(type(value) is type(word) and value == word for word in words):
            refuse(self.path, f"{self.place}{name}: expected one of {', '.join(map(str, words))}, found {value!r:.60}")
        return value

    def exactly(self, kinds: Mapping[str, Any], optional: frozenset[str] = frozenset()) -> None:
        """Checks that the entries are those of `kinds`, and their types."""
        unknown = self.value.keys() - kinds.keys()
        if unknown:
            refuse(self.path, f"{self.place}{min(unknown)} is unknown")
        for name in sorted(kinds.keys() - (optional - self.value.keys())):
            self.get(name, kinds[name])

    def fields_of(self, settings: type, **first: str) -> None:
        """Checks that the entries are the fields of a dataclass, by their first names."""
        self.exactly({first.get(field.name, field.name): field.type for field in fields(settings)})
