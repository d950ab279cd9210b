"""Table 3 of the paper: LLMFashionRec without each of its parts, and variants of choices that the paper does not make.

Each variant is a small YAML file of overrides under properties/ablation. The paper's variants use `ranking: mixup`, our
own use the default ranking. Variants that change only the ranking reuse the responses of the whole model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Cell, Column, Document, ReportTable, TableRow
from recbole_llmfashion.study.request import OWN, StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner

LABELS = {
    "1-no-attributes": "(1) w/o product attributes",
    "2-no-memory": "(2) w/o query-product memory",
    "3-no-text-embedding": "(3) w/o text embedding",
    "4-no-id-embedding": "(4) w/o ID embedding",
    "5-clip-text-embedding": "(5) w/ CLIP text embedding",
    "6-no-memory-no-id": "(6) w/o memory and ID",
    "7-no-memory-no-id-no-attributes": "(7) w/o memory, ID and attributes",
}
WHOLE = "0-whole"
FUSION = "ranking: fusion (default)"
CHOICES = {
    "8-beams": "LLMFashionRec, ranking: beams",
    "9-fusion": FUSION,
    "11-semantic-index": "item_tokens: semantic",
    "12-text-index": "item_tokens: text",
}
UNTRAINED = {"10-untrained-backbone": "backbone without simulator pre-training"}  # for tiny-falcon only
# Table 3 on luggage_bags, private data: Recall@10, NDCG@10, MRR
PAPER = {
    OWN: (0.2786, 0.2037, 0.1804),
    "(1) w/o product attributes": (0.2293, 0.1396, 0.1117),
    "(2) w/o query-product memory": (0.2595, 0.1786, 0.1518),
    "(3) w/o text embedding": (0.1757, 0.1569, 0.1510),
    "(4) w/o ID embedding": (0.2412, 0.1480, 0.1189),
    "(5) w/ CLIP text embedding": (0.2004, 0.1245, 0.1039),
    "(6) w/o memory and ID": (0.2343, 0.1424, 0.1139),
    "(7) w/o memory, ID and attributes": (0.2184, 0.1285, 0.1006),
}


def _entries(labels: Mapping[str, str]) -> list[Entry]:
    folder = properties_folder() / "ablation"
    return [Entry(label, OWN, read_yaml(folder / f"{file}.yaml")) for file, label in labels.items()]


def entries() -> list[Entry]:
    """The rows of the paper: the whole model and seven variants."""
    return _entries({WHOLE: OWN} | LABELS)


def choices(embedded: bool) -> list[Entry]:
    """Rows that are not in the paper.

    Args:
        embedded: whether the backbone is tiny-falcon, the only one with an untrained variant.
    """
    return _entries(CHOICES | (UNTRAINED if embedded else {}))


def ablation(request: StudyRequest, runner: Runner) -> Document:
    """Runs the eight rows of the paper and our own."""
    rows = runner.run([*entries(), *choices(assemble.embedded(runner))])
    lines = assemble.with_costs(rows)
    paper, ours = ([line for line in lines if (line.label in PAPER) is of_paper] for of_paper in (True, False))
    default = next(line for line in ours if line.label == FUSION)
    document = assemble.document(request, runner, f"Ablation on {request.dataset} (the paper's Table 3)", rows)
    document.tables = [
        ReportTable("table3", "Test metrics", [*assemble.METRICS, *assemble.COST], lines, notes(rows, runner)),
        ReportTable(
            "shares",
            "NDCG@10 relative to the whole model",
            [Column("here", "here", "share"), Column("paper", "in the paper", "share")],
            [_share(line, paper[0], PAPER[line.label][1] / PAPER[OWN][1]) for line in paper],
            ["The paper uses its own private luggage and bags data: compare the pattern, not the values."],
        ),
        ReportTable(
            "choices",
            "NDCG@10 of our own variants relative to the default",
            [Column("here", "share of the default", "share")],
            [_share(line, default) for line in [paper[0], *ours]],
        ),
    ]
    document.figures = [assemble.bars("ablation", f"Ablation on {request.dataset}", lines)]
    return document


def _share(line: TableRow, whole: TableRow, in_paper: float | None = None) -> TableRow:
    own, all_of_it = assemble.mean(line, "ndcg@10"), assemble.mean(whole, "ndcg@10")
    here = own / all_of_it if own is not None and all_of_it else None
    cells: dict[str, Cell] = {"here": here}
    if in_paper is not None:
        cells["paper"] = in_paper
    return TableRow(line.label, cells, ranked=False)


def notes(rows: Mapping[str, Sequence[Outcome]], runner: Runner) -> list[str]:
    """Notes on individual variants."""
    texts = [
        f"{OWN} and (1) to (7) use the ranking of the paper (ranking: mixup). The rows below them differ from the "
        f"default in one choice; compare them with '{FUSION}'."
    ]
    if not runner.config(Entry("", OWN))["clip_pretrained"]:
        texts.append(
            "(5) is not comparable with the paper: without a pretrained CLIP, the text tower was trained on the "
            "(query, title) pairs of this log, as the LSTM is. In the paper, (5) is a title list only; compare it "
            "with (4)."
        )
    texts.append(
        "(3), (4) and (5) rank the same responses as the whole model, (6) those of (2). With mixup_m = 1 the nearest "
        "item to a generated ID in CORE's table is that item itself, so CORE affects only the lower ranks of (3)."
    )
    tuned: list[Any] = assemble.details(rows[OWN], "tuned")
    if any(tuned):
        texts.append("All rows use the tuned keys of the whole model; the variants were not tuned separately.")
    return texts
