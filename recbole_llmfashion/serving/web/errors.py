"""Why a request is not answered, as a status and one line. Knows no web framework and no model."""

import hmac
import json


class RequestError(Exception):
    """A request that gets `status` and one line.

    Args:
        headers: sent with it.
    """

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers or {}

    @property
    def body(self) -> bytes:
        """{"error": one line}; JSON's escapes stand for what is no valid Unicode."""
        return json.dumps({"error": str(self)}).encode()


def busy() -> RequestError:
    """The queue is full."""
    return RequestError(429, "too many requests wait; ask again later", {"Retry-After": "1"})


def unavailable() -> RequestError:
    """The copy of the model that had the request is gone, or none is up."""
    return RequestError(503, "the model is being restarted; ask again", {"Retry-After": "1"})


def failed() -> RequestError:
    """A fault of ours."""
    return RequestError(500, "the service failed; its log says why")


def check_token(authorization: str | None, token: str | None) -> None:
    """Lets `Authorization: Bearer <token>` pass.

    Raises:
        RequestError: 403 where the service has no token, 401 where the request has none or another.
    """
    if not token:
        raise RequestError(403, "/items is shut; the service was started without a token")
    scheme, _, given = (authorization or "").partition(" ")
    # bytes: compare_digest refuses texts beyond ASCII; its time tells nothing about where they differ
    same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode("utf-8", "replace"))
    if scheme.lower() != "bearer" or not same:
        raise RequestError(
            401, "/items needs the header `Authorization: Bearer <token>`", {"WWW-Authenticate": "Bearer"}
        )


def check_size(name: str, found: int, most: int) -> None:
    """Raises RequestError (422) where there is more than the service takes."""
    if found > most:
        raise RequestError(422, f"{name}: {found} is more than the {most} that this service takes")
