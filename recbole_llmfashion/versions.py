"""The versions of what decides numbers, as results and run folders name them."""

import platform
from importlib.metadata import version

from recbole_llmfashion import __version__

_PACKAGES = (
    "recbole",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "open_clip_torch",
    "faiss-cpu",
    "numpy",
    "pandas",
)


def versions() -> dict[str, str]:
    """By package name; `python` and our own first."""
    found = {"python": platform.python_version(), "recbole_llmfashion": __version__}
    return found | {name: version(name) for name in _PACKAGES}
