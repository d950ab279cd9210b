"""Changes of a run folder's manifest.json."""

import json

from recbole_llmfashion.stage_store import sha256


def rewrite_manifest(folder, digest=True, **changes):
    """Changes entries of manifest.json; its digest is that of the new entries, unless `digest` is False."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text()) | changes
    if digest:
        content["sha256"] = sha256({key: value for key, value in content.items() if key != "sha256"})
    path.write_text(json.dumps(content))
