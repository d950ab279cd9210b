"""What a document says of a dataset's files beside its tables. Knows no split, no filter and no model."""

from recbole_llmfashion.data.atomic.folder import AtomicFolder


def facts(files: AtomicFolder, sha256: str) -> dict[str, str | int]:
    """A dataset's line in Document.data: the files' digest and their counts, as they are."""
    return {
        "sha256": sha256,
        "users": int(files.interactions["user_id"].nunique()),
        "items": len(files.items),
        "item actions": len(files.interactions),
        "purchases": int((files.interactions["action"] == "purchase").sum()),
        "searches": len(files.searches),
    }
