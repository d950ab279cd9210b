"""What a command costs before its first useful line: processor seconds and peak memory, each in a fresh process.

    python benchmarks/startup.py [--rounds 3]

Beside them `python -c "import torch"`. The last line is `ratio <number>`: the processor seconds of
`recbole-llmfashion --help` over those of importing torch.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HELP = "recbole-llmfashion --help"
TORCH = 'python -c "import torch"'
MAIN = "import sys; from recbole_llmfashion.cli.main import main; main()"
COMMANDS = {
    HELP: ["-c", MAIN, "--help"],
    "recbole-llmfashion study compare --help": ["-c", MAIN, "study", "compare", "--help"],
    "recbole-llmfashion run --help": ["-c", MAIN, "run", "--help"],
    "python run_recbole_llm.py --help": ["run_recbole_llm.py", "--help"],
    "an unknown key": ["-c", MAIN, "run", "--model=CORE", "--dataset=footwear", "--lerning_rate=1"],
    "an unknown dataset": ["-c", MAIN, "run", "--model=CORE", "--dataset=fotwear"],
    "recbole-llmfashion validate dataset/footwear": ["-c", MAIN, "validate", "dataset/footwear"],
    TORCH: ["-c", "import torch"],
}


def cost(words: list[str]) -> tuple[float, float]:
    """Processor seconds and peak megabytes of a Python process."""
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Prints a Markdown table and, last, `ratio <number>`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    seconds = {}
    print("| command | processor seconds | peak memory, MB |\n| --- | ---: | ---: |")
    for name, words in COMMANDS.items():
        costs = [cost(words) for _ in range(rounds)]
        seconds[name] = statistics.median(spent for spent, _ in costs)
        print(f"| `{name}` | {seconds[name]:.2f} | {statistics.median(peak for _, peak in costs):.0f} |", flush=True)
    print(f"ratio {seconds[HELP] / seconds[TORCH]:.3f}")


if __name__ == "__main__":
    main()
