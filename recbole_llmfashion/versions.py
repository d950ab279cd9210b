"""Versions of Python, this package and the libraries on which results depend."""

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
    """Package name -> version; `python` and `recbole_llmfashion` come first."""
    own = {"python": platform.python_version(), "recbole_llmfashion": __version__}
    return own | {name: version(name) for name in _PACKAGES}
