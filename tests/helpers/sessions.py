"""Sessions straight from the atomic files, without anything of the package."""

import csv

FIELDS = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}


def read(path):
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, **FIELDS))
    return [dict(zip((name.split(":")[0] for name in rows[0]), row, strict=True)) for row in rows[1:]]


def sessions(folder):
    """By user: (actions before the final purchase, its time); a search counts where it is strictly earlier."""
    found = {}
    for row in read(folder / f"{folder.name}.inter"):
        action = {"action": row["action"], "item_id": row["item_id"], "timestamp": float(row["timestamp"])}
        found.setdefault(row["user_id"], []).append(action)
    cut = {user: (actions[:-1], actions[-1]["timestamp"]) for user, actions in found.items()}
    for row in read(folder / f"{folder.name}.search"):
        actions, now = cut[row["user_id"]]
        if float(row["timestamp"]) < now:
            actions.append({"action": "search", "query": row["query"], "timestamp": float(row["timestamp"])})
    return cut
