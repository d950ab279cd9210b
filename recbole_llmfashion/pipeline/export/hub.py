"""Exported runs as repositories of a hub: found by name and downloaded, or uploaded. Nothing is uploaded unasked.

huggingface_hub makes the requests, so its variables hold: HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE.
"""

import glob
from pathlib import Path

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HFValidationError, RemoteEntryNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # exported, but not by `__all__`

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.pipeline.manifest import MANIFEST, OWN, Manifest, read_content, read_manifest

# parts of an export that another export may lack; files of an earlier commit of the repository
_REPLACED = [f"{OWN}/*", "backbone/*"]


def find_run(name_or_path: str | Path, revision: str | None = None, token: str | None = None) -> Path:
    """The folder of a run: that folder, or the downloaded files of a repository. A folder needs no network.

    Only the files that manifest.json names are downloaded, into the cache of the hub.

    Args:
        name_or_path: a run folder, or the name of a repository.
        revision: branch, tag or commit of the repository; None for its newest commit.
        token: for private repositories; None for the stored one.

    Raises:
        UserError: no such folder or repository, no access, or the repository holds no exported run.
    """
    if Path(name_or_path).is_dir():
        if revision is not None:
            raise UserError(f"revision: {name_or_path} is a folder, which has no revisions; leave revision out")
        return Path(name_or_path)
    name = str(name_or_path)
    if isinstance(name_or_path, Path) or not _is_repository(name):
        raise UserError(f"{name}: not a run folder, there is no such folder; results.json names it as `run`")
    return _download(name, revision, token)


def check_repository(name: str, option: str = "repo_id") -> None:
    """Raises UserError where a name cannot be that of a repository."""
    if not _is_repository(name):
        raise UserError(f"{option}: '{name}' is no name of a repository; write owner/name")


def upload_run(folder: Path, repo_id: str, private: bool = True, token: str | None = None) -> str:
    """Uploads an exported run in one commit; makes the repository if there is none.

    Args:
        folder: written by `export_run`.
        repo_id: owner/name.
        private: whether the repository may only be read by its owner; one that exists keeps its visibility.
        token: with the right to write; None for the stored one.

    Returns:
        the address of the commit.

    Raises:
        UserError: the folder is no exported run, the repository exists and is public though `private` is true, or the
            hub refuses.
    """
    check_repository(repo_id)
    _refuse_not_exported(read_manifest(folder), str(folder))
    api = HfApi(token=token)
    try:
        made = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if private and not api.model_info(made).private:
            raise UserError(f"private: {made} exists and is public; make it private on the hub, or pass private=False")
        message = "Upload of an exported run"
        commit = api.upload_folder(repo_id=made, folder_path=folder, commit_message=message, delete_patterns=_REPLACED)
    except UserError:
        raise
    except Exception as error:  # the errors of the hub, its HTTP client and its transfer have no common base class
        advice = "check the name, the network and the token's right to write (HF_TOKEN, or `hf auth login`)"
        raise UserError(f"{repo_id}: not uploaded ({_reason(error)}); {advice}") from error
    return str(commit.commit_url)


def _is_repository(name: str) -> bool:
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def _download(name: str, revision: str | None, token: str | None) -> Path:
    advice = "check the name, revision, token (HF_TOKEN) and network, or name a run folder"
    try:
        snapshot = Path(hf_hub_download(name, MANIFEST, revision=revision, token=token)).parent
        manifest = Manifest(snapshot, read_content(snapshot))
        _refuse_not_exported(manifest, name)
        parts = manifest.content["parts"]
        files = [Path(parts[part]["path"], file).as_posix() for part, file, _ in manifest.files()]
        wanted = [MANIFEST, *map(glob.escape, files)]
        # the snapshot's name is the commit, so the files are of one commit
        return Path(snapshot_download(name, revision=snapshot.name, token=token, allow_patterns=wanted))
    except UserError:
        raise
    except RemoteEntryNotFoundError as error:
        raise UserError(f"{name}: the repository is no exported run, it has no {MANIFEST}; {advice}") from error
    except Exception as error:  # as in upload_run
        raise UserError(f"{name}: no such folder, and no run from the hub ({_reason(error)}); {advice}") from error


def _refuse_not_exported(manifest: Manifest, name: str) -> None:
    """An exported run has each part in itself; `run_folder` of the main job names folders beside it."""
    manifest.files()  # the form of the entries
    for part in manifest.content["parts"].values():
        path = Path(part["path"])
        if not part["path"] or path.is_absolute() or ".." in path.parts or ":" in part["path"]:
            raise UserError(f"{name}: the run needs files outside of its folder; export it, and take that folder")


def _reason(error: Exception) -> str:
    """The first paragraph of an error's text as one line."""
    paragraphs = [part for part in str(error).split("\n\n") if part.strip()]
    return " ".join(paragraphs[0].split())[:160] if paragraphs else type(error).__name__
