"""The options of a search, in addition to those of the main job."""

from dataclasses import dataclass
from pathlib import Path

METHODS = ("optuna", "random", "grid")
SAMPLES = 20
MOST = 4096  # cores or GPUs of a trial


@dataclass(frozen=True)
class Options:
    """Options of a search.

    Args:
        params_file: the search space.
        num_samples: number of trials; None for SAMPLES, or for all points of a grid.
        search: one of METHODS.
        cpus_per_trial: cores of a trial.
        gpus_per_trial: GPUs of a trial; a fraction shares one.
        grace_period: validations before ASHA may stop a trial; 0 stops none; None for the model's default.
        reduction_factor: ASHA continues the best 1/reduction_factor of the trials.
        resume: continue the search in the output folder.
        address: host:port of a running Ray cluster; None starts Ray on this machine.
    """

    params_file: Path
    num_samples: int | None = None
    search: str = METHODS[0]
    cpus_per_trial: float = 1
    gpus_per_trial: float = 0
    grace_period: int | None = None
    reduction_factor: int = 3
    resume: bool = False
    address: str | None = None
