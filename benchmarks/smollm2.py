"""What a real language model adds: SmolLM2-135M in LLMFashionRec, beside controls of the same size, on one dataset.

    python benchmarks/smollm2.py DIR [--model PATH] [--users N] [--rows ids,random] [--epochs 2] [--minutes M]
        [--source DIR] [--ranking beams] [--out OUT] [--KEY=VALUE ..]

DIR is a dataset, a folder with its atomic files. The rows:

    ids       one token per item, prompts of item tokens; `--epochs` passes
    random    the same with random weights of SmolLM2's shape
    titles    the same as ids with title and attributes of each item in the prompt
    shuffled  the same as titles where each item has the text of another: does the model read?
    paper     the paper's form (LLMFashionRec-paper.yaml): IDs as text, sampled responses, mixup, its curriculum
    falcon    the package's own tiny Falcon, by its default recipe
    zero      the model of `ids` trained on `--source DIR` and evaluated here; nothing trains on this dataset
    default   LLMFashionRec as it ships: the tiny Falcon's answers and the other lists, `ranking: fusion`
    Fusion    without an LLM: the other lists of `default`
    TextKNN   without an LLM: the items whose titles are nearest to those of the last ones (extra minilm)
    SeqKNN    without an LLM: the items of customers with a similar history

Only `--ranking fusion` trains CORE and the title model as long as a run does. `--ranking beams`, the default, ranks by
the LLM alone, and trains them for one epoch, because nothing of them reaches the first hundred places. The rows `paper`
and `default` always need both. SmolLM2's weights are not quantized, and its learning rate is 5e-4; further keys apply
to every row with an LLM, such as `--compute_dtype=bf16`, which is faster on a CPU that has AMX.

`--users` keeps the customers with the smallest SHA-256 of their id, the same for all rows. Nothing here needs a
network, Ray or plotly; without the extra smollm2, `--model` names a GGUF file or a folder. Finished rows are read from
OUT/results.json and stages are reused, so a stopped run goes on with the same command. `--minutes` ends the run: a row
is not started if less is left than the longest row took, and a running fine-tuning goes on from its last checkpoint
next time. The script writes OUT/table.md and OUT/results.json after each row. The last line is one JSON object.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from smollm2_data import SEED, write_dataset
from smollm2_rows import PAPER, ROWS, SHUFFLED, WITHOUT_LLM, figures, row_keys
from smollm2_table import last_line, table


class OutOfTimeError(BaseException):
    """The end of `--minutes`; no Exception, so that no library takes it for an error of its own."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raises OutOfTimeError in the main thread after some seconds; None for no limit."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError

    if seconds is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def model_folder(name: str, out: Path) -> Path:
    """The folder of a model: itself, or a GGUF file de-quantized once into OUT/models."""
    from recbole_llmfashion.files.digests import file_sha256
    from recbole_llmfashion.llm.modeling.gguf_files import gguf_file, save_dequantized
    from recbole_llmfashion.stage_store import StageStore

    file = gguf_file(name)
    if file is None:
        return Path(name)
    inputs = {"file": file_sha256(file)}
    return StageStore(out / "models").get("gguf", inputs, lambda folder: save_dequantized(file, folder))


def random_folder(model: Path, out: Path) -> Path:
    """A folder with the shape and the tokenizer of a model and random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from recbole_llmfashion.files.digests import file_sha256
    from recbole_llmfashion.llm.modeling.backbone import load_tokenizer
    from recbole_llmfashion.stage_store import StageStore

    def write(folder: Path) -> None:
        torch.manual_seed(SEED)
        config = AutoConfig.from_pretrained(str(model), trust_remote_code=False)
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(str(folder))
        load_tokenizer(str(model)).save_pretrained(str(folder))

    inputs = {"config": file_sha256(model / "config.json"), "seed": SEED}
    return StageStore(out / "models").get("random", inputs, write)


class Bench:
    """The rows of one call.

    Args:
        options: of the command line.
        keys: further keys, for every row.

    Attributes:
        rows: by name, what each row reported, also those of earlier calls.
    """

    def __init__(self, options: argparse.Namespace, keys: Mapping[str, Any]) -> None:
        import torch

        self.options, self.keys, self.start = options, dict(keys), time.perf_counter()
        self.cuda = torch.cuda.is_available()
        self.device = torch.cuda.get_device_name() if self.cuda else f"CPU, {torch.get_num_threads()} threads"
        self._file = options.out / "results.json"
        self.rows: dict[str, dict[str, Any]] = {}
        self._before = json.loads(self._file.read_text("utf-8"))["rows"] if self._file.is_file() else {}
        self._folders: dict[bool, Path] = {}
        self.data = options.out / "dataset"
        write_dataset(options.data, self.data / options.data.name, options.users)
        if options.source is not None:
            write_dataset(options.source, self.data / options.source.name, options.users)

    @property
    def left(self) -> float | None:
        """Seconds until the end of `--minutes`; None for no end."""
        spent = time.perf_counter() - self.start
        return None if self.options.minutes is None else 60 * self.options.minutes - spent

    def models(self, random: bool) -> Path:
        """The model's folder, or that of random weights; made when a row first needs it."""
        if random not in self._folders:
            plain = model_folder(self.options.model, self.options.out).absolute()
            self._folders[random] = random_folder(plain, self.options.out).absolute() if random else plain
        return self._folders[random]

    def run(self) -> None:
        """Runs the rows that are missing, until the time is over."""
        longest = 0.0
        for name in self.options.rows:
            left = self.left
            if left is not None and left <= longest and "recall@10" not in self._before.get(name, {}):
                reason = f"not started: {max(left, 0):.0f} s left, the longest row took {longest:.0f} s"
                self.rows[name] = {"stopped": reason}
                self.write()
                continue
            print(f"== {name} on {self.options.data.name}", file=sys.stderr, flush=True)
            begin = time.perf_counter()
            try:
                with time_limit(left):
                    self.rows[name] = self._row(name)
            except OutOfTimeError:
                self.rows[name] = {"stopped": "stopped: --minutes are over; the same command goes on"}
            if self.rows[name] is not self._before.get(name):
                longest = max(longest, time.perf_counter() - begin)
            self.write()

    def _row(self, name: str) -> dict[str, Any]:
        from recbole_llmfashion import load_config, run_experiment
        from recbole_llmfashion.data.atomic.writer import folder_sha256
        from recbole_llmfashion.stage_store import sha256

        folder = self.data / self.options.data.name
        if name == SHUFFLED:
            folder = write_dataset(folder, self.data / f"{folder.name}_{SHUFFLED}", None, shuffled=True)
        if name in WITHOUT_LLM:
            model, keys = name, {"show_progress": False, "seed": SEED} | WITHOUT_LLM[name]
        else:
            model, keys = "LLMFashionRec", row_keys(name, self.options, self.cuda, self.models) | self.keys
        data = folder_sha256(folder, folder.name)
        named = keys | {"llm_name_or_path": Path(str(keys.get("llm_name_or_path", "tiny-falcon"))).name}
        inputs = sha256({"keys": {key: str(value) for key, value in named.items()}, "data": data})
        known = self._before.get(name, {})
        if known.get("inputs") == inputs and "recall@10" in known:
            return known
        begin = time.perf_counter()
        where = {"data_path": str(self.data), "checkpoint_dir": str(self.options.out / "saved")}
        files = [PAPER] if name == "paper" else []
        result = run_experiment(load_config(model, folder.name, files, keys | where))
        minutes = (time.perf_counter() - begin) / 60
        about = {"inputs": inputs, "data_sha256": data, "seed": keys["seed"], "device": self.device, "keys": named}
        return {**figures(result), "minutes": minutes, **about}

    def write(self) -> None:
        """Writes both files; rows of earlier calls that this one did not name stay."""
        options = self.options
        rows = self._before | self.rows
        users = "all customers" if options.users is None else f"{options.users} customers by hash"
        hashes = sorted({row["data_sha256"][:16] for row in rows.values() if "data_sha256" in row})
        notes = [
            f"{options.data.name}, {users}, sha256 {', '.join(hashes)}; seed {SEED}; {self.device}.",
            f"Model {Path(options.model).name}; each row's keys and device are in results.json.",
            f"Ranking of the LLM's rows but `paper` and `default`: {options.ranking}. Command: `{' '.join(sys.argv)}`.",
        ]
        options.out.mkdir(parents=True, exist_ok=True)
        content = {"dataset": options.data.name, "command": sys.argv, "device": self.device, "rows": rows}
        self._file.write_text(json.dumps(content, indent=1, default=str), "utf-8")
        (options.out / "table.md").write_text(table(rows, notes), "utf-8")


def arguments(words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Options and keys of a command line; ends with status 2 on what cannot be."""
    from recbole_llmfashion.config.command_line import read_keys, split_names

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DIR")
    parser.add_argument("--model", default="smollm2", help="smollm2, a GGUF file or a folder")
    parser.add_argument("--source", type=Path, help="dataset that the row `zero` is trained on")
    parser.add_argument("--users", type=int)
    parser.add_argument("--rows", default="ids,random,titles,shuffled,paper,falcon")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--ranking", default="beams", choices=["beams", "fusion"])
    parser.add_argument("--out", type=Path, default=Path("results/smollm2"))
    options, rest = parser.parse_known_args(words)
    options.rows = split_names(options.rows)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"--rows: unknown row '{unknown[0]}'; rows: {', '.join(ROWS)}")
    if "zero" in options.rows and options.source is None:
        parser.error("--rows: the row zero needs --source DIR, the dataset that the model is trained on")
    for folder in (options.data, options.source):
        if folder is not None and not (folder / f"{folder.name}.inter").is_file():
            parser.error(f"{folder}: has no {folder.name}.inter; name the folder of a dataset")
    return options, read_keys(rest)


def main(words: Sequence[str]) -> int:
    """Runs the rows, prints the table and the last line; 1 where a row is not finished, 2 for an error of the user."""
    from recbole_llmfashion.errors import UserError

    try:
        options, keys = arguments(words)
        bench = Bench(options, keys)
        bench.run()
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print((options.out / "table.md").read_text("utf-8"))
    print(last_line(options.data.name, bench.rows))
    return int(any("recall@10" not in row for row in bench.rows.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
