"""What every command shares: the log level, errors in one line, exit statuses, and the signals that stop a process."""

import io
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from recbole_llmfashion.errors import UserError

STOPPED = "stopped by Ctrl-C; finished stages are kept, the same command continues after the last one"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TOGETHER = 1.0  # seconds within which signals count as one: a terminal and a process manager may both send one
_received: list[tuple[str, float]] = []  # name and time of the signals that came


def log_level(state: str) -> None:
    """Sets the log level of the terminal to that of RecBole's key `state`."""
    import logging  # not at the top: until this module is imported, Ctrl-C is a traceback

    logging.basicConfig(level=state.upper(), format="%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("recbole_llmfashion").setLevel(min(logging.INFO, getattr(logging, state.upper())))
    for noisy in ("httpx", "urllib3", "faiss", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def announce_loading() -> None:
    """A line on stderr before a command imports PyTorch and RecBole: ten seconds, on a fresh machine up to a minute."""
    if "torch" not in sys.modules:
        print("loading PyTorch and RecBole", file=sys.stderr, flush=True)


def run_process(work: Callable[[], int]) -> NoReturn:
    """The whole process of a command: it handles SIGINT, SIGTERM and SIGHUP from before `work` imports anything.

    A signal stops the command as Ctrl-C does: what it was writing is removed, one line, status 2. A second signal ends
    the process at once. Signals that the caller ignores, as nohup does, stay ignored.

    Args:
        work: the command; returns the exit status.
    """
    handled = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, _stop)
    from recbole_llmfashion.cpu.allocator import keep_freed_memory

    keep_freed_memory()
    status = guarded(work)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    for number in handled:  # the command is over: while the interpreter ends, a signal changes nothing but the time
        signal.signal(number, lambda *_: os._exit(status))
    sys.exit(status)


def _stop(number: int, frame: Any) -> None:
    now = time.monotonic()
    if not _received:
        _received.append((signal.Signals(number).name, now))
        raise KeyboardInterrupt
    if now - _received[0][1] > _TOGETHER:
        os.write(2, f"error: {_stopped_line()}\n".encode())
        os._exit(2)


def _stopped_line() -> str:
    name = _received[0][0] if _received else "SIGINT"
    return STOPPED if name == "SIGINT" else STOPPED.replace("Ctrl-C", name)


def guarded(work: Callable[[], int]) -> int:
    """Runs a command. An error of the user becomes one line on stderr and exit status 2; finished stages are kept."""
    warnings.simplefilter("ignore", FutureWarning)
    escape_unknown_letters()
    try:
        return work()
    except UserError as error:
        line = str(error)
    except KeyboardInterrupt:
        line = _stopped_line()
    except Exception as error:
        line = _line_of(error)
    print(f"error: {' '.join(line.split())}", file=sys.stderr)
    return 2


def escape_unknown_letters() -> None:
    """Makes the terminal show letters that its encoding lacks as escapes; Python would end with UnicodeEncodeError."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def json_line(value: Any) -> str:
    """A value as JSON on one line, with JSON's own escapes for letters that the terminal's encoding lacks."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return line


def _line_of(error: Exception) -> str:
    """The line of an error that is not the package's: a stopped process, a full disk, a file that cannot be used.

    Raises:
        Exception: any other error, which is a bug.
    """
    if _received:  # a library made something else of the interrupt
        return _stopped_line()

    from recbole_llmfashion.files.write_errors import disk_full, full_disk_error

    named = error.filename if isinstance(error, OSError) else None
    if disk_full(error):
        return str(full_disk_error(named or "", error))
    if isinstance(error, OSError) and named:
        return f"{named}: {error.strerror}; check the path, its owner and its mode"
    raise error
