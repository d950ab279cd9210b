"""What every command shares: the log level, errors in one line, exit statuses."""

import errno
import logging
import sys
import warnings
from collections.abc import Callable

from recbole_llmfashion.errors import FREE_SPACE, UserError

STOPPED = "stopped by Ctrl-C; finished stages are kept, the same command continues after the last one"


def log_level(state: str) -> None:
    """Sets the log level of the terminal to that of RecBole's key `state`.

    Raises:
        UserError: an unknown level.
    """
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if state.upper() not in levels:
        raise UserError(f"state: expected one of {', '.join(levels)}, found '{state}'")
    logging.basicConfig(level=state.upper(), format="%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("recbole_llmfashion").setLevel(min(logging.INFO, getattr(logging, state.upper())))
    for noisy in ("httpx", "urllib3", "faiss", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def guarded(work: Callable[[], int]) -> int:
    """Runs a command. An error of the user becomes one line on stderr and exit status 2; finished stages are kept."""
    warnings.simplefilter("ignore", FutureWarning)
    try:
        return work()
    except UserError as error:
        line = str(error)
    except KeyboardInterrupt:
        line = STOPPED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        line = f"disk full{f' at {error.filename}' if error.filename else ''}: {FREE_SPACE}"
    print(f"error: {' '.join(line.split())}", file=sys.stderr)
    return 2
