"""The service's settings: an argument of `serve run` or a config, else the environment, else the default here.

`run` is an argument `run=..` or the variable LLMFASHION_RUN, and so on for each field. The token is read from the
environment alone, so that it stands in no config file and no process list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError, did_you_mean
from recbole_llmfashion.pipeline.manifest import MANIFEST

PREFIX = "LLMFASHION_"
TOKEN = "token"
LEAST = {
    "batch": 1, "queue": 1, "timeout": 0.1, "max_body": 1024, "max_actions": 1, "max_k": 1,
    "replicas": 1, "cpus": 0.1, "gpus": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class ServiceSettings:
    """See the module.

    Args:
        run: the run folder, as the replicas see it.
        token: opens /items; None keeps it shut.
        journal: the file that holds what was added and removed; needed with a token, see journal.py.
        batch: most sessions that the LLM answers together.
        queue: requests that wait before the next gets 429.
        timeout: seconds until a request gets 504.
        max_body: bytes of a request.
        max_actions: actions of a session.
        max_k: items of a list.
        replicas: copies of the model.
        cpus, gpus: of each copy; a share of a GPU is one too.
    """

    run: Path
    token: str | None = field(default=None, repr=False)
    journal: Path | None = None
    batch: int = 16
    queue: int = 64
    timeout: float = 30.0
    max_body: int = 2**20
    max_actions: int = 1000
    max_k: int = 100
    replicas: int = 1
    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def ongoing(self) -> int:
        """Requests at one replica: a batch that is answered and the next one that gathers."""
        return 2 * self.batch


def read_settings(args: Mapping[str, Any], environ: Mapping[str, str]) -> ServiceSettings:
    """Settings from both places.

    Raises:
        UserError: an unknown argument, a value that is none, no run folder, a token without a journal.
    """
    known = [spec.name for spec in fields(ServiceSettings) if spec.name != TOKEN]
    for name in args:
        if name not in known:
            raise UserError(f"serve: no argument '{name}'; {did_you_mean(name, known)}")
    given = {name: environ[PREFIX + name.upper()] for name in (*known, TOKEN) if environ.get(PREFIX + name.upper())}
    given |= {name: str(value) for name, value in args.items()}
    if "run" not in given:
        raise UserError(f"serve: no run folder; say run=DIR or set {PREFIX}RUN to `run` of results.json")
    if TOKEN in given and "journal" not in given:
        raise UserError(
            f"serve: {PREFIX}TOKEN opens /items, whose changes must outlive a replica; set {PREFIX}JOURNAL to a file "
            "that every replica can write"
        )
    settings = ServiceSettings(**{name: _value(name, text) for name, text in given.items()})
    if not (settings.run / MANIFEST).is_file():
        raise UserError(f"serve: {settings.run} is no run folder; name `run` of results.json or an exported one")
    return settings


def _value(name: str, text: str) -> Any:
    if name == TOKEN:
        return text
    if name in ("run", "journal"):
        return Path(text).expanduser().resolve()  # a replica works in another folder
    whole = isinstance(LEAST[name], int)
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = -1
    if not LEAST[name] <= value < 1e9:
        kind = "a whole number" if whole else "a number"
        raise UserError(f"serve: {name}: expected {kind} from {LEAST[name]} on, found '{text[:40]}'")
    return value
