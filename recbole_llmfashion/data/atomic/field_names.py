"""The names that the files of a dataset have for users, items and times: RecBole's keys USER_ID_FIELD and so on.

Reading renames these columns to user_id, item_id and timestamp, and writing renames them back, so nothing else of the
package sees other names. RecBole's rows have the names of the keys, as RecBole's models expect.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

from recbole_llmfashion.data.atomic.table import TableSpec

FIELD_KEYS = {"user_id": "USER_ID_FIELD", "item_id": "ITEM_ID_FIELD", "timestamp": "TIME_FIELD"}


@dataclass(frozen=True)
class FieldNames:
    """The names of three columns in the files of one dataset.

    Args:
        user, item, time: of the columns user_id, item_id and timestamp.

    >>> FieldNames(user="uid").options
    ['--USER_ID_FIELD=uid']
    """

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"

    @classmethod
    def of(cls, keys: Any) -> Self:
        """The names that a config, or a dict of keys, gives."""
        return cls(*(keys[key] for key in FIELD_KEYS.values()))

    def file_column(self, column: str) -> str:
        """The name that the files have for a required column of the package."""
        own = {"user_id": self.user, "item_id": self.item, "timestamp": self.time}
        return own.get(column, column)

    @property
    def options(self) -> list[str]:
        """The words of the command line that give these names; none for the names of the package."""
        named = [(column, key, self.file_column(column)) for column, key in FIELD_KEYS.items()]
        return [f"--{key}={name}" for column, key, name in named if name != column]

    def in_file(self, spec: TableSpec) -> dict[str, str]:
        """Column of the package -> column of a file, for those that differ.

        Args:
            spec: the file's columns under the names of the package.
        """
        named = {column: self.file_column(column) for column in spec.required}
        return {column: name for column, name in named.items() if column != name}

    def spec(self, spec: TableSpec) -> TableSpec:
        """The columns of a file under the names of this dataset."""
        required = {self.file_column(column): kind for column, kind in spec.required.items()}
        return replace(
            spec,
            required=required,
            keys={self.file_column(column): key for column, key in FIELD_KEYS.items() if column in spec.required},
            replaced={own: name for own, name in self.in_file(spec).items() if own not in required},
        )


PACKAGE_NAMES = FieldNames()
