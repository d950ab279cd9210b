"""The dry run of a study: everything that it checks, the settings of its rows and the counts of their data."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count

from recbole_llmfashion.config.configurator import LLMFashionConfig
from recbole_llmfashion.quick_start.dry_run import describe
from recbole_llmfashion.study.report.document import Document
from recbole_llmfashion.study.request import StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner

NOT_RUN = "dry run"


class DryRunner(Runner):
    """Validates the rows of a study, and runs none.

    Attributes:
        entries: every row that the study would run, in order.
    """

    def __init__(self, request: StudyRequest) -> None:
        super().__init__(request)
        self.entries: list[Entry] = []

    def run(self, entries: Sequence[Entry], part: str = "") -> dict[str, list[Outcome]]:
        """Each row as one that failed; see Runner for errors."""
        self.check(entries, part)
        self.entries += entries
        return {entry.label: [Outcome(seed, None, NOT_RUN) for seed in self.seeds] for entry in entries}


def dry_run(request: StudyRequest, study: Callable[[StudyRequest, Runner], Document]) -> str:
    """The rows of a study with their settings and counts, as text.

    Args:
        study: the function of the study, whose document of failed rows is not used.

    Raises:
        UserError: what a run of the study would find before its first row, or a model that cannot be built.
    """
    runner = DryRunner(request)
    study(request, runner)
    parts = [f"== study {request.study}: {len(runner.entries)} rows, seeds {', '.join(map(str, runner.seeds))}\n"]
    parts += [describe(configs) for configs in _by_dataset(runner).values()]
    return "\n".join(parts)


def _by_dataset(runner: DryRunner) -> Mapping[str, dict[str, LLMFashionConfig]]:
    """The config of each row by its label, by dataset; rows of two parts of a study with equal keys are one."""
    found: dict[str, dict[str, LLMFashionConfig]] = {}
    for entry in runner.entries:
        config = runner.row_config(entry)
        labels = found.setdefault(config["dataset"], {})
        names = (entry.label if number == 1 else f"{entry.label} ({number})" for number in count(1))
        free = (name for name in names if name not in labels or labels[name]["command_line"] == config["command_line"])
        labels[next(free)] = config
    return found
