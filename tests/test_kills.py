"""Twenty kills at random moments of a main job, a conversion and an export, and each time the same command again."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from recbole_llmfashion.cli.train import main
from recbole_llmfashion.data.atomic.writer import folder_sha256
from recbole_llmfashion.pipeline.manifest import read_manifest
from tests.helpers.fakes import SMALL, simulated_shop

ROOT = Path(__file__).parents[1]
SEED = 20
KILLS = {"run": 6, "convert": 9, "export": 5}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
MAIN = "from recbole_llmfashion.cli.main import main; main()"
METRICS = ("recall@10", "ndcg@10", "mrr@10", "mrr")
COMMANDS = {
    "run": "run --model=CORE --dataset=shoes --data_path=. --checkpoint_dir=saved --output=out --epochs=3 "
    "--train_batch_size=64 --show_progress=False",
    "convert": "convert table --interactions events.csv --items items.csv --user user --item item --time time "
    "--title title --out shop",
    "export": "export --run run --out exported",
}


def start(root: Path, command: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *COMMANDS[command].split()],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def outcome(root: Path, command: str) -> object:
    """What a whole command leaves: metrics, the hash of a dataset, the digests of a copy."""
    if command == "run":
        rows = json.loads((root / "out/results.json").read_text())["models"]
        return {model: [row[metric] for metric in METRICS] for model, row in rows.items()}
    if command == "convert":
        return folder_sha256(root / "shop", "shop")
    return read_manifest(root / "exported").content


def leftovers(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.rglob("*") if ".llmf-" in path.name]


def whole_run(root: Path, command: str) -> float:
    begun = time.monotonic()
    process = start(root, command)
    error = process.communicate()[1]
    assert process.returncode == 0, error
    return time.monotonic() - begun


def clear(root: Path) -> None:
    for name in ("saved", "out", "shop", "exported"):
        subprocess.run(["rm", "-rf", str(root / name)], check=True)


def make(root: Path) -> None:
    simulated_shop(root)
    rows = [f"u{user},i{(7 * user + turn) % 50},{1700000000 + 60 * turn}" for user in range(3000) for turn in range(10)]
    (root / "events.csv").write_text("user,item,time\n" + "\n".join(rows) + "\n")
    (root / "items.csv").write_text("item,title\n" + "".join(f"i{item},red boots {item}\n" for item in range(50)))
    keys = [f"--{key}={value}" for key, value in SMALL.items()]
    places = [f"--data_path={root}", f"--checkpoint_dir={root / 'trained'}", f"--output={root / 'trained/out'}"]
    assert main(["--model=LLMFashionRec", "--dataset=shoes", *places, *keys]) == 0
    rows = json.loads((root / "trained/out/results.json").read_text())["models"]
    (root / "run").symlink_to(rows["LLMFashionRec"]["run"])


def kill(root: Path, seed: int, kills: dict[str, int]) -> Counter:
    draw, counts = random.Random(seed), Counter()
    make(root)
    for command, times in kills.items():
        seconds = whole_run(root, command)
        whole = outcome(root, command)
        for _ in range(times):
            clear(root)
            number, process = draw.choice(SIGNALS), start(root, command)
            time.sleep(draw.uniform(0.2, 1.0) * seconds)
            process.send_signal(number)
            error = process.communicate()[1]
            status = process.returncode
            counts[f"{command} {number.name} {'ended before' if status == 0 else 'stopped'}"] += 1
            if status == 2:
                assert error.splitlines()[-1].startswith("error: stopped by"), error
            if number is not signal.SIGKILL:
                assert leftovers(root) == []
            if command == "export" and status == 0:
                subprocess.run(["rm", "-rf", str(root / "exported")], check=True)  # export refuses what is there
            if not (root / "exported").exists():
                whole_run(root, command)
            assert outcome(root, command) == whole and leftovers(root) == [], (command, number)
    return counts


@pytest.mark.slow
@pytest.mark.alone
def test_twenty_kills(tmp_path):
    counts = kill(tmp_path, SEED, KILLS)
    print(*(f"{what}: {count}" for what, count in sorted(counts.items())), sep="\n")
    assert counts.total() == sum(KILLS.values()) == 20
    assert sum(count for what, count in counts.items() if what.endswith("stopped")) >= 10
