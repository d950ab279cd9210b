"""Search a model's keys: python run_hyper.py --model=SASRec --dataset=footwear --params_file=FILE --num_samples=20."""

import os
import sys

# Read once, when torch loads OpenMP: threads that wait by spinning slow the trial beside them twentyfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from recbole_llmfashion.cli.terminal import run_process


def main() -> int:
    """Imports the command only now, when signals are handled."""
    from recbole_llmfashion.cli.tune import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    run_process(main)
