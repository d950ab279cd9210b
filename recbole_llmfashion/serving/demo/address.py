"""The address that the demo page listens on."""

from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from socket import SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, gaierror, getaddrinfo, socket

from recbole_llmfashion.errors import UserError


def in_url(host: str) -> str:
    """A host as URLs and Gradio take it: an IPv6 address in brackets.

    >>> in_url("::1"), in_url("127.0.0.1")
    ('[::1]', '127.0.0.1')
    """
    return f"[{host}]" if ":" in host else host


def check_address(host: str, port: int) -> None:
    """Tries to listen on an address, so that a port in use is known before a run is loaded.

    Raises:
        UserError: it cannot be used.
    """
    try:
        family, _, _, _, address = getaddrinfo(host, port, type=SOCK_STREAM)[0]
        with socket(family, SOCK_STREAM) as tried:
            tried.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)  # a port that was free a moment ago is free
            tried.bind(address)
    except (OSError, UnicodeError) as error:
        raise address_error(host, port, error) from None


def address_error(host: str, port: int, error: OSError | UnicodeError) -> UserError:
    """The line for an error about an address: of the operating system, or of a name that cannot be one, as `a..b`."""
    if isinstance(error, gaierror | UnicodeError) or error.errno == EADDRNOTAVAIL:
        return UserError(f"--host: expected an address of this machine, found '{host}'; 127.0.0.1 is always one")
    reason = {EADDRINUSE: "is in use", EACCES: "needs root"}.get(error.errno or 0, "cannot be used")
    return UserError(f"--port: expected a free port, found '{port}', which {reason}; choose another")
