"""When a command of `study`, run in a process of its own, is finished."""

from collections.abc import Callable
from pathlib import Path

FAILED_ROWS = 1  # status of a study that has written its report with a row that failed; of a bug too, without a report


def run_to_report(run: Callable[[], int | None], report: Path) -> int | None:
    """Runs a study; 0 if it has written its report, also with a row that failed, else its status.

    Args:
        run: runs the command and returns its status; None where it was stopped.
        report: results.json of its output folder; that of an earlier run is removed before.
    """
    report.unlink(missing_ok=True)
    status = run()
    return 0 if status == FAILED_ROWS and report.is_file() else status
