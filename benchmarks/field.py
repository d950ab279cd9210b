"""Amazon Beauty, the dataset that the field reports on: the package's models beside published figures.

    python benchmarks/field.py DIR [--models SASRecSampled,Fusion,LLMFashionRec] [--out OUT] [--KEY=VALUE ..]

DIR holds interactions.csv (user_id, item_id, order) and items.csv (item_id, title): the 5-core sequences of Amazon
Reviews 2014. The command converts them, runs `study compare` with one seed, and writes OUT/table.md. Protocol: the last
event of each user is the test row and the one before it validation; all items but those of the user's history are
ranked (`mask_history: auto`, because no user has an item twice). Finished rows are read again, so a killed run goes on
with the same command. The last line is `beauty <recall> <ndcg>` of LLMFashionRec.

The published figures are as their sources print them. Whether each source leaves out the history is not known here.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_llmfashion.study.pages.status import run_to_report

NAME, OURS = "amazon_beauty", "LLMFashionRec"
MODELS = [
    "Popularity", "SeqKNN", "TextKNN", "GRU4Rec", "SASRec", "SASRecSampled", "BERT4Rec", "NextItNet", "CORE",
    "TextSASRec", "Fusion", OURS,
]  # fmt: skip
# Recall@10, NDCG@10 (None: not printed), where it is printed
PUBLISHED: dict[str, tuple[float, float | None, str]] = {
    "eSASRec": (0.0928, 0.0523, "blondered/transformer_benchmark"),
    "OpenOneRec": (0.0924, None, "OpenOneRec's README"),
    "SASRec with sampled softmax": (0.0921, 0.0531, "blondered/transformer_benchmark"),
    "GRLM": (0.0846, None, "GRLM's result files"),
    "LC-Rec": (0.0791, 0.0438, "phonism/genrec"),
    "HSTU": (0.0788, 0.0439, "blondered/transformer_benchmark"),
    "SASRec, usual setting": (0.0688, 0.0375, "phonism/genrec"),
    "TIGER": (0.0648, 0.0384, "blondered/transformer_benchmark"),
}
CONSOLE = str(Path(sys.executable).with_name("recbole-llmfashion"))


def table(study: Mapping[str, Any]) -> str:
    """A Markdown table of a study's rows and the published ones, best Recall@10 first, and the protocol.

    Args:
        study: results.json of `study compare`.
    """
    lines = ["| row | Recall@10 | NDCG@10 | minutes | source |", "|---|---:|---:|---:|---|"]
    rows: list[tuple[float, str]] = []
    for label, (outcome, *_) in study["models"].items():
        if outcome["status"] != "ok":
            rows.append((-1.0, f"| {label} | {outcome['status']} | | | this run |"))
            continue
        recall, ndcg, minutes = outcome["recall@10"], outcome["ndcg@10"], seconds(outcome) / 60
        rows.append((recall, f"| {label} | {recall:.4f} | {ndcg:.4f} | {minutes:.1f} | this run |"))
    for label, (recall, number, source) in PUBLISHED.items():
        rows.append((recall, f"| {label} | {recall:.4f} | {'' if number is None else f'{number:.4f}'} | | {source} |"))
    lines += [line for _, line in sorted(rows, key=lambda row: -row[0])]
    data = study["data"][NAME]
    notes = [
        f"Data: {data['users']:,} users, {data['items']:,} items, {data['item actions']:,} events, sha256 "
        f"{data['sha256'][:16]}; seed {', '.join(map(str, study['seeds']))}; command: {study['command']}",
        *study["notes"],
    ]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def seconds(outcome: Mapping[str, Any]) -> float:
    """Seconds of a row with all of its stages; `total` is without those that another row had made."""
    spent = outcome["seconds"]
    return float(spent["total"] + sum(spent[stage] for stage in outcome["stages_reused"]))


def last_line(study: Mapping[str, Any]) -> str:
    """The figures of LLMFashionRec."""
    (outcome, *_) = study["models"][OURS]
    return f"beauty {outcome['recall@10']:.4f} {outcome['ndcg@10']:.4f}"


def run(command: Sequence[str], report: Path | None = None) -> None:
    """One command of this repository; ends with its status if it fails.

    Args:
        report: results.json of a study, which is finished once it has written it.
    """

    def code() -> int:
        return subprocess.run(command).returncode

    if status := code() if report is None else run_to_report(code, report):
        raise SystemExit(status)


def main() -> None:
    """Converts the data where that is not done, runs the missing rows, and prints the table and the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DIR")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--out", type=Path, default=Path("results/field"))
    options, keys = parser.parse_known_args()
    folder = options.out / "dataset" / NAME
    if not folder.is_dir():
        files = ["--interactions", str(options.data / "interactions.csv"), "--items", str(options.data / "items.csv")]
        columns = ["--user", "user_id", "--item", "item_id", "--time", "order", "--title", "title"]
        run([CONSOLE, "convert", "table", *files, *columns, "--out", str(folder)])
    where = [f"--data_path={folder.parent}", f"--checkpoint_dir={options.out / 'saved'}"]
    study = [CONSOLE, "study", "compare", f"--dataset={NAME}", f"--models={options.models}", "--seeds=1"]
    report = options.out / "study" / "results.json"
    run([*study, f"--output={report.parent}", *where, *keys], report)
    results = json.loads(report.read_text(encoding="utf-8"))
    text = table(results)
    (options.out / "table.md").write_text(f"{text}\n", encoding="utf-8")
    print(text)
    if OURS in results["models"] and results["models"][OURS][0]["status"] == "ok":
        print(last_line(results))


if __name__ == "__main__":
    main()
