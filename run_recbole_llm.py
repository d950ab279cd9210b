"""Train and compare: python run_recbole_llm.py --model=LLMFashionRec,CORE --dataset=footwear [--key=value ..]."""

import os
import sys

# Read once, when torch loads OpenMP: threads that wait by spinning slow a second process on the same cores twentyfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from recbole_llmfashion.cli.terminal import run_process


def main() -> int:
    """Imports the command only now, when signals are handled."""
    from recbole_llmfashion.cli.train import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    run_process(main)
