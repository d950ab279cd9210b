"""Small logs and catalogues with dates, for the tests of the analysis."""

from datetime import UTC, datetime

from tests.helpers import fakes


def seconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


def log(*rows: str) -> str:
    """An .inter file from rows of user, item, action and day."""
    cells = [row.split() for row in rows]
    lines = [f"{user}\t{item}\t{action}\t{seconds(day)}" for user, item, action, day in cells]
    return "\n".join([fakes.INTER.splitlines()[0], *lines]) + "\n"


def items(column: str, values: dict[str, object]) -> str:
    """The .item file of `fakes` with one more column."""
    head, *rows = fakes.ITEM.splitlines()
    kind = "float" if column == "available_from" else "token"
    return "\n".join(
        [f"{head}\t{column}:{kind}", *(f"{row}\t{values.get(row.split(chr(9))[0], '')}" for row in rows), ""]
    )


# Three months of 2024; first actions: item 11 in January, 12 in February, 13 and 14 in March, 15 and 16 never.
THREE_MONTHS = log(
    "u1 11 purchase 2024-01-02",
    "u1 12 click 2024-02-10",
    "u1 13 click 2024-03-01",
    "u1 14 purchase 2024-03-30",
    "u2 11 click 2024-01-20",
    "u2 12 purchase 2024-02-20",
)
