"""RecBole's atomic files: the reader, the writer and the checks."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.data.atomic.folder import AtomicFolder, check_clean, read_folder, scan_folder
    from recbole_llmfashion.data.atomic.table import AtomicError
    from recbole_llmfashion.data.atomic.writer import folder_sha256, write_folder
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "folder": "AtomicFolder check_clean read_folder scan_folder",
            "table": "AtomicError",
            "writer": "folder_sha256 write_folder",
        },
    )

__all__ = ["AtomicError", "AtomicFolder", "check_clean", "folder_sha256", "read_folder", "scan_folder", "write_folder"]
