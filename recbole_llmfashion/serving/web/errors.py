"""HTTP errors of the service: a status and one line of text."""

import hmac
import json
from collections.abc import Collection
from typing import Any

MAX_DEPTH = 50


class RequestError(Exception):
    """An error response.

    Args:
        status: HTTP status code.
        text: one line.
        headers: additional response headers.

    Example:
        >>> RequestError(404, "not found").body
        b'{"error": "not found"}'
    """

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers or {}

    @property
    def body(self) -> bytes:
        """JSON `{"error": <text>}`; characters outside ASCII are escaped, invalid Unicode included."""
        return json.dumps({"error": str(self)}).encode()


def busy() -> RequestError:
    """429: the queue is full."""
    return RequestError(429, "too many waiting requests; try again later", {"Retry-After": "1"})


def unavailable(reason: str = "the model is being restarted; try again") -> RequestError:
    """503: the replica that had the request died, no replica is running, or the items cannot be known."""
    return RequestError(503, reason, {"Retry-After": "1"})


def failed() -> RequestError:
    """500: an internal error."""
    return RequestError(500, "internal error; see the log of the service")


def check_token(authorization: str | None, token: str | None) -> None:
    """Accepts the header `Authorization: Bearer <token>`.

    Raises:
        RequestError: 403 if the service has no token, 401 if the request has none or a wrong one.
    """
    if not token:
        raise RequestError(403, "/items is disabled: start the service with LLMFASHION_TOKEN")
    scheme, _, given = (authorization or "").partition(" ")
    # as bytes, because compare_digest rejects non-ASCII strings; it runs in constant time
    same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode("utf-8", "replace"))
    if scheme.lower() != "bearer" or not same:
        raise RequestError(
            401, "/items requires the header `Authorization: Bearer <token>`", {"WWW-Authenticate": "Bearer"}
        )


def check_size(name: str, size: int, limit: int) -> None:
    """Checks a size against a limit of the service.

    Raises:
        RequestError: 422, `size` is above `limit`.
    """
    if size > limit:
        raise RequestError(422, f"{name}: {size} is above this service's limit of {limit}")


def check_depth(name: str, value: list[Any]) -> None:
    """Checks how deep the lists and objects of a JSON list are, without recursion.

    Ray cannot send a value of some 450 levels to a replica.

    Raises:
        RequestError: 422, there are more than MAX_DEPTH levels.
    """
    level: list[list[Any] | dict[str, Any]] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node) if isinstance(child, list | dict)]
        if not level:
            return
    raise RequestError(422, f"{name}: nested too deeply; expected at most {MAX_DEPTH} levels of lists and objects")


def _children(node: list[Any] | dict[str, Any]) -> Collection[Any]:
    return node.values() if isinstance(node, dict) else node
