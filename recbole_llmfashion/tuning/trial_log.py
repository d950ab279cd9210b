"""The log of a search, one JSON line per event. --resume and all output files are based on this log only.

    <output>/journal.jsonl   {"event": "start", "trial": 0, "keys": {..}, "time": ..}
                             {"event": "report", "trial": 0, "step": 1, "value": .031, "time": ..}
                             {"event": "end", "trial": 0, "status": "finished", "value": .034, ..}

Times are seconds since the start of the search, without the pauses between an interruption and --resume. An incomplete
last line, left by a killed process, is dropped.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.files.json_lines import JsonLines

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"


@dataclass
class Trial:
    """One trial, as recorded in the log.

    Args:
        number: number of the trial, from 0.
        keys: values of the searched keys.
        status: FINISHED, STOPPED (early, by the scheduler), FAILED, or empty if it did not end.
        value: validation metric; for a stopped trial the last report, for a failed one nan.
        reports: (seconds since the start of the search, step, value).
        seconds: duration.
        details: details of a finished trial (see objective.py), or `error` of a failed one.
    """

    number: int
    keys: dict[str, Any]
    status: str = ""
    value: float = float("nan")
    reports: list[tuple[float, int, float]] = field(default_factory=list)
    seconds: float = 0.0
    details: dict[str, Any] = field(default_factory=dict)


def damaged(path: Path) -> UserError:
    """The error of a file of a search that no search has written like this."""
    return UserError(f"{path}: damaged; choose a new --output, or delete the folder")


class TrialLog:
    """Appends events to the log and rebuilds the trials from it.

    Args:
        path: path of journal.jsonl; existing events are read.

    Raises:
        UserError: a line is not of a log.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lines = path, JsonLines(path)
        self.trials: dict[int, Trial] = {}
        self._before = 0.0
        try:
            for event in self._lines.read()[0] if path.is_file() else []:
                self._apply(event)
                self._before = max(self._before, event["time"])
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(path) from error
        self._start = time.monotonic()

    def elapsed(self) -> float:
        """Seconds of searching so far, including earlier runs of the same search."""
        return self._before + time.monotonic() - self._start

    def add(self, event: str, trial: int, **values: Any) -> None:
        """Writes one event; it is on disk when this method returns."""
        line = {"event": event, "trial": trial, "time": round(self.elapsed(), 3), **values}
        self._lines.append(line)
        self._apply(line)

    def _apply(self, line: dict[str, Any]) -> None:
        number = line["trial"]
        if line["event"] == "start":
            self.trials[number] = Trial(number, dict(line["keys"]))
            return
        trial = self.trials[number]
        if line["event"] == "report":
            trial.reports.append((line["time"], line["step"], line["value"]))
            trial.value = line["value"]
        else:
            trial.status, trial.value = line["status"], line["value"]
            trial.seconds, trial.details = line["seconds"], line["details"]

    def ended(self) -> list[Trial]:
        """Trials that ended, by number."""
        return [self.trials[number] for number in sorted(self.trials) if self.trials[number].status]

    def unfinished(self) -> list[Trial]:
        """Trials that were interrupted, by number."""
        return [self.trials[number] for number in sorted(self.trials) if not self.trials[number].status]

    def best(self, bigger: bool = True) -> Trial | None:
        """The finished trial with the best value; the first one among equals. Stopped trials are not considered."""
        finished = [trial for trial in self.ended() if trial.status == FINISHED]
        sign = 1 if bigger else -1
        return max(finished, key=lambda trial: (sign * trial.value, -trial.number), default=None)
