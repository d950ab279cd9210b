"""A hub on this machine, as far as huggingface_hub needs one to make, fill, list and read a repository of a model."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_this_test"
FILE = "{repo_id}/resolve/{revision}/{filename}"  # of huggingface_hub


class FakeHub:
    """Repositories in memory. Private ones, and every change, need the token.

    Attributes:
        commits: of each repository, the files of each commit, oldest first.
        private: the repositories that need the token.
        requests: method and path of every request.
    """

    def __init__(self) -> None:
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.requests: list[tuple[str, str]] = []

    def sha(self, repository: str, number: int) -> str:
        return hashlib.sha1(f"{repository} {number}".encode()).hexdigest()

    def files(self, repository: str, revision: str = "main") -> tuple[str, dict[str, bytes]] | None:
        """A commit's name and files."""
        commits = self.commits[repository]
        for number in reversed(range(len(commits))):
            if revision in ("main", self.sha(repository, number)):
                return self.sha(repository, number), commits[number]
        return None


class Handler(BaseHTTPRequestHandler):
    """Answers for the hub of its server."""

    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> FakeHub:
        return self.server.hub  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        pass

    def reply(self, status: int, content: Any, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        self.reply(status, {"error": code}, X_Error_Code=code)

    @property
    def known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        match = info or file
        if match is None or match[1] not in self.hub.commits or (match[1] in self.hub.private and not self.known):
            self.refuse(401 if match else 404, "RepoNotFound")
            return
        name = match[1]
        found = self.hub.files(name, (file[2] if file else info[3]) or "main")
        if found is None:
            self.refuse(404, "RevisionNotFound")
            return
        sha, files = found
        if file is not None and file[3] not in files:
            self.reply(404, {}, X_Error_Code="EntryNotFound", X_Repo_Commit=sha)
        elif file is not None:
            tag = hashlib.sha256(files[file[3]]).hexdigest()
            self.reply(200, files[file[3]], X_Repo_Commit=sha, ETag=f'"{tag}"')
        elif info[2] == "tree":
            blobs = {path: hashlib.sha1(content).hexdigest() for path, content in files.items()}
            self.reply(200, [{"type": "file", "path": p, "size": len(files[p]), "oid": o} for p, o in blobs.items()])
        else:
            siblings = [{"rfilename": path} for path in files]
            self.reply(200, {"id": name, "sha": sha, "private": name in self.hub.private, "siblings": siblings})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/api/validate-yaml":
            self.reply(200, {"errors": [], "warnings": []})
        elif not self.known:
            self.refuse(401, "Unauthorized")
        elif path == "/api/repos/create":
            self.create(json.loads(body))
        elif "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
            self.reply(200, {"files": modes})
        else:
            self.commit(path.removeprefix("/api/models/").partition("/commit/")[0], body)

    def create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted.get('organization') or 'me'}/{wanted['name']}"
        if name in self.hub.commits:
            self.reply(409, {"url": f"http://{self.headers['Host']}/{name}"})
            return
        self.hub.commits[name] = [{".gitattributes": b""}]
        self.hub.private |= {name} if wanted.get("visibility") == "private" or wanted.get("private") else set()
        self.reply(200, {"url": f"http://{self.headers['Host']}/{name}"})

    def commit(self, name: str, body: bytes) -> None:
        files = dict(self.hub.commits[name][-1])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.hub.commits[name].append(files)
        sha = self.hub.sha(name, len(self.hub.commits[name]) - 1)
        url = f"http://{self.headers['Host']}/{name}/commit/{sha}"
        self.reply(200, {"commitUrl": url, "commitOid": sha})


@contextmanager
def fake_hub(monkeypatch: Any, cache: Any) -> Iterator[FakeHub]:
    """Makes huggingface_hub of this process talk to a new hub, with an empty cache and no token."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = hub  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.ENDPOINT", address)
    monkeypatch.setattr(
        f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(f"{constants}.HF_TOKEN_PATH", str(cache / "token"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
