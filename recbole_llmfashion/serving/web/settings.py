"""Settings of the service: arguments of `serve run` or its config file, then environment variables, then defaults.

`run`, for example, is the argument `run=..` or the variable LLMFASHION_RUN; the other fields follow the same pattern.
The token is read from the environment only, so that it appears in no config file and no process list.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError, did_you_mean
from recbole_llmfashion.pipeline.manifest import MANIFEST, read_digest

PREFIX = "LLMFASHION_"
TOKEN = "token"
MINIMUM = {
    "batch": 1, "queue": 1, "timeout": 0.1, "body_timeout": 0.1, "max_body": 1024, "max_actions": 1, "max_k": 1,
    "min_askers": 1, "replicas": 1, "cpus": 0.1, "gpus": 0.0,
}  # fmt: skip
BOUND = 1_000_000_000  # every number is below it


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of the HTTP service.

    Args:
        run: the run folder; the same path on every replica.
        token: bearer token of /items; None disables /items.
        journal: file that stores added and removed items, see journal.py; required with a token. Its changes hold
            without one too, so that a service restarted without its token serves no removed item.
        batch: maximum number of sessions in a batch of the LLM.
        queue: maximum number of waiting requests; further ones get 429.
        timeout: seconds from the end of the body until a request gets 504.
        body_timeout: seconds until a request whose body is not complete gets 408.
        max_body: maximum size of a request body in bytes.
        max_actions: maximum number of actions in a session.
        max_k: maximum number of items in a list.
        min_askers: number of users that a query of the memory and a pair of the neighbors' list need; 1: any.
        replicas: number of copies of the model.
        cpus: CPUs of each copy.
        gpus: GPUs of each copy; may be a fraction.
    """

    run: Path
    token: str | None = field(default=None, repr=False)
    journal: Path | None = None
    batch: int = 16
    queue: int = 64
    timeout: float = 30.0
    body_timeout: float = 5.0
    max_body: int = 2**20
    max_actions: int = 1000
    max_k: int = 100
    min_askers: int = 2
    replicas: int = 1
    cpus: float = 1.0
    gpus: float = 0.0

    @property
    def ongoing(self) -> int:
        """Maximum number of requests at one replica: the batch in progress and the next one."""
        return 2 * self.batch

    @property
    def room(self) -> int:
        """Maximum number of requests that are answered or wait, at all replicas."""
        return self.ongoing * self.replicas + self.queue


def read_settings(args: Mapping[str, Any], environ: Mapping[str, str]) -> ServiceSettings:
    """Reads the settings from arguments and environment.

    Raises:
        UserError: an unknown argument, an invalid value or token, no run folder, or a token without a journal.
    """
    texts = _texts(args, environ)
    if "run" not in texts:
        raise UserError(f"serve: no run folder; pass run=DIR or set {PREFIX}RUN to the `run` of results.json")
    if TOKEN in texts and "journal" not in texts:
        raise UserError(
            f"serve: {PREFIX}TOKEN enables /items, whose changes must outlive a replica; set {PREFIX}JOURNAL to a file "
            "that every replica can write"
        )
    settings = ServiceSettings(**{name: _value(name, text) for name, text in texts.items()})
    if not (settings.run / MANIFEST).is_file():
        raise UserError(
            f"serve: {settings.run} is not a run folder; pass the `run` of results.json or an exported folder"
        )
    return settings


def _texts(args: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Values as text by field name; arguments override the environment."""
    names = [spec.name for spec in fields(ServiceSettings) if spec.name != TOKEN]
    for name in args:
        if name not in names:
            raise UserError(f"serve: unknown argument '{name}'; {did_you_mean(name, names)}")
    texts = {name: environ[PREFIX + name.upper()] for name in (*names, TOKEN) if environ.get(PREFIX + name.upper())}
    return texts | {name: str(value) for name, value in args.items()}


def _value(name: str, text: str) -> Any:
    if name == TOKEN:
        return _token(text)
    if name in ("run", "journal"):
        return Path(text).expanduser().resolve()  # replicas have another working directory
    integer = isinstance(MINIMUM[name], int)
    try:
        value = int(text) if integer else float(text)
    except ValueError:
        value = -1
    if not MINIMUM[name] <= value < BOUND:
        kind = "an integer" if integer else "a number"
        raise UserError(
            f"serve: {name}: expected {kind} of {MINIMUM[name]} or more and below {BOUND}, found '{text[:40]}'"
        )
    return value


def _token(text: str) -> str:
    """The token without the line end of the file it may come from.

    Raises:
        UserError: no client could send it in a header.
    """
    token = text.strip()
    if not token or not all("!" <= letter <= "~" for letter in token):
        raise UserError(
            f"serve: {PREFIX}TOKEN: expected letters, digits and signs of ASCII, no white space; choose another token"
        )
    return token


def run_digest(run: Path) -> str:
    """The digest that identifies a run, equal to `Recommender.run_digest`, without loading the run.

    Raises:
        UserError: the manifest is not readable.
    """
    try:
        return read_digest(run)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"serve: {run / MANIFEST} is not readable; export the run again") from None
