"""Files that others read: written whole or not at all, and known by their digests."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.files.changes import check_writable, own_folder, reading, replace_files, write_file
    from recbole_llmfashion.files.digests import FileDigests, file_sha256
    from recbole_llmfashion.files.folders import publish_folder, temporary_folder
    from recbole_llmfashion.files.write_errors import disk_full, naming
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "changes": "check_writable own_folder reading replace_files write_file",
            "digests": "FileDigests file_sha256",
            "folders": "publish_folder temporary_folder",
            "write_errors": "disk_full naming",
        },
    )

__all__ = [
    "FileDigests",
    "check_writable",
    "disk_full",
    "file_sha256",
    "naming",
    "own_folder",
    "publish_folder",
    "reading",
    "replace_files",
    "temporary_folder",
    "write_file",
]
