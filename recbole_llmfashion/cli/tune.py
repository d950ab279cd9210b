"""run_hyper.py: one model, one dataset, a params_file, a folder of results.

    uv run run_hyper.py --model=SASRec --dataset=footwear --params_file=properties/hyper/SASRec.yaml --num_samples=20

Every other --key=value holds for all trials, as in run_recbole_llm.py. Status 0: a trial finished; 1: none did; 2: the
user can mend it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_llmfashion.cli.terminal import guarded, log_level
from recbole_llmfashion.distributed.cluster import cluster
from recbole_llmfashion.errors import UserError
from recbole_llmfashion.tuning import figures, report
from recbole_llmfashion.tuning.objective import make_objective
from recbole_llmfashion.tuning.plan import plan
from recbole_llmfashion.tuning.scheduler import reporter, search
from recbole_llmfashion.tuning.trial_log import FINISHED, Trial, TrialLog


def claim_folder(folder: Path, identity: dict[str, Any], resume: bool) -> None:
    """Makes the output folder this search's own.

    Raises:
        UserError: it holds another search or other files, or there is nothing to resume.
    """
    settings = folder / report.SETTINGS
    if not settings.is_file():
        if resume:
            raise UserError(f"--resume: {folder} holds no search; leave --resume out to begin one")
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"--output: {folder} holds files of something else; choose a new folder")
        folder.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(identity, indent=1), encoding="utf-8")
        return
    before = json.loads(settings.read_text(encoding="utf-8"))
    differing = [key for key in identity if json.loads(json.dumps(identity[key])) != before.get(key)]
    if not resume:
        hint = "choose a new folder" if differing else "--resume goes on with it"
        raise UserError(f"--output: {folder} holds a search already; {hint}")
    if differing:
        key = differing[0]
        raise UserError(f"--resume: {folder} holds a search with another {key}; choose a new folder for this one")


def main_job(argv: Sequence[str]) -> int:
    """Runs a search and writes its folder."""
    made = plan(argv)
    log_level(str(made.config["state"]))
    folder, header, keys = made.arguments.output, made.header, list(made.space.domains)
    claim_folder(folder, made.identity(), made.options.resume)
    journal = TrialLog(folder / "journal.jsonl")

    def on_end(trial: Trial) -> None:
        report.write(folder, header, journal, keys)

    with cluster(made.options.address):
        search(make_objective(made.job), made.space, made.settings, journal, header.default, on_end, reporter(keys))
    report.write(folder, header, journal, keys)
    figures.draw(folder / "search.png", made.space, list(journal.trials.values()), header.metric, header.bigger)
    print((folder / "table.md").read_text(encoding="utf-8"))
    if len(journal.ended()) < made.settings.num_samples:
        raise UserError(f"stopped after {len(journal.ended())} trials; the same command with --resume goes on")
    print(f"written: {folder}/table.md, trials.parquet, search.png" + (", best.yaml" if journal.best() else ""))
    return int(not any(trial.status == FINISHED for trial in journal.ended()))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    return guarded(lambda: main_job(sys.argv[1:] if argv is None else argv))
