"""LLMFashionRec without each of its parts, in the paper's form (its Table 3) or in the form that the package ships.

Each row is a small YAML file of overrides in properties/ablation/<form>. Rows that change only the ranking reuse the
responses of the whole model. A response that holds nothing a row ranks by falls back to popularity in every row, so
that a row without the memory has the same fallback as the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from recbole_llmfashion.config.keys import properties_folder
from recbole_llmfashion.config.yaml_files import read_yaml
from recbole_llmfashion.study.forms import beside, paper_form, size_note
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import Cell, Column, Document, ReportTable, TableRow, Value
from recbole_llmfashion.study.report.effects import INTERVAL, contrast, effect_cells, effect_columns
from recbole_llmfashion.study.request import OWN, StudyRequest
from recbole_llmfashion.study.runner import Entry, Outcome, Runner


@dataclass(frozen=True)
class Variant:
    """A row of an ablation.

    Args:
        file: its overrides, in properties/ablation/<form>.
        label: label of the row.
        note: what the row changes.
    """

    file: str
    label: str
    note: str


WHOLE = "0-whole"
PAPER_ROWS = (
    Variant(WHOLE, OWN, "the whole model; mixup of ID list and title list"),
    Variant("1-no-attributes", "(1) w/o product attributes", "prompts show an item's ID and title only"),
    Variant(
        "2-no-memory",
        "(2) w/o query-product memory",
        "prompts have no products of the memory and no sentence about them",
    ),
    Variant("3-no-text-embedding", "(3) w/o text embedding", "the ID list alone ranks; responses of the whole model"),
    Variant("4-no-id-embedding", "(4) w/o ID embedding", "the title list alone ranks; responses of the whole model"),
    Variant(
        "5-clip-text-embedding",
        "(5) w/ CLIP text embedding",
        "the title list alone ranks, by CLIP instead of the LSTM; compare with (4)",
    ),
    Variant("6-no-memory-no-id", "(6) w/o memory and ID", "(2) and (4) together; responses of (2)"),
    Variant("7-no-memory-no-id-no-attributes", "(7) w/o memory, ID and attributes", "(1), (2) and (4) together"),
)
LABELS = {row.file: row.label for row in PAPER_ROWS[1:]}
UNTRAINED = "6-untrained-backbone"  # for tiny-falcon only
BY_CLIP = ("5-clip-text-embedding", "11-clip")  # where there is a text tower only
SHIPPED_ROWS = (
    Variant(WHOLE, OWN, "the whole model; fusion of all lists"),
    Variant(
        "1-no-attributes",
        "w/o product attributes",
        "item embeddings and the word list read titles only; prompts of this form show no attributes",
    ),
    Variant("2-no-memory", "w/o query-product memory", "the memory is neither in the prompts nor in the fusion"),
    Variant("3-response-only", "w/o loss on history", "the loss is on the response only"),
    Variant("4-semantic-tokens", "item_tokens: semantic", "an ID is code tokens that similar items share"),
    Variant("5-text-tokens", "item_tokens: text", "an ID is text; prompts still show no titles"),
    Variant(UNTRAINED, "w/o pre-training in simulated shops", "the backbone starts from random weights"),
    Variant("7-beams", "ranking: beams", "the LLM's likeliest items, then the title list"),
    Variant("8-mixup", "ranking: mixup", "the paper's mixup; both lists come from one generated ID"),
    Variant("9-id", "ranking: id", "the ID list alone"),
    Variant("10-title", "ranking: title", "the title list alone"),
    Variant("11-clip", "ranking: clip", "the title list alone, by CLIP"),
)
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


def _entries(form: str, rows: Sequence[Variant], common: Mapping[str, Any]) -> list[Entry]:
    folder = properties_folder() / "ablation" / form
    return [Entry(row.label, OWN, {**common, **read_yaml(folder / f"{row.file}.yaml")}) for row in rows]


def has_text_tower(runner: Runner) -> bool:
    """Whether titles can be ranked by CLIP: it is pretrained, or the log has queries to train its text tower on."""
    pretrained = runner.config(Entry("", OWN))["clip_pretrained"]
    return bool(pretrained or runner.describe(runner.request.dataset)["searches"])


def paper_entries(text_tower: bool) -> list[Entry]:
    """The eight rows of Table 3, in the paper's form.

    Args:
        text_tower: see `has_text_tower`; without one row 5 is left out.
    """
    return _entries("paper", [row for row in PAPER_ROWS if text_tower or row.file not in BY_CLIP], paper_form())


def shipped_entries(tiny_falcon: bool, text_tower: bool) -> list[Entry]:
    """The rows of the form that ships.

    Args:
        tiny_falcon: whether the backbone is tiny-falcon, the only one with an untrained variant.
        text_tower: see `has_text_tower`; without one the row by CLIP is left out.
    """
    left_out = (*(() if tiny_falcon else (UNTRAINED,)), *(() if text_tower else BY_CLIP))
    return _entries("shipped", [row for row in SHIPPED_ROWS if row.file not in left_out], {})


def ablation(request: StudyRequest, runner: Runner) -> Document:
    """Runs the rows of the form that the request names."""
    paper = request.options["form"] == "paper"
    tower = has_text_tower(runner)
    own = paper_entries(tower) if paper else shipped_entries(assemble.embedded(runner), tower)
    rows = runner.run(own + beside(request))
    lines = assemble.with_costs(rows)
    subject = f"in the paper's form on {request.dataset} (Table 3)" if paper else f"of the default on {request.dataset}"
    title = f"Ablation {subject}"
    document = assemble.document(request, runner, title, rows)
    document.tables = (_paper_tables if paper else _shipped_tables)(rows, lines, runner)
    document.figures = [assemble.bars("ablation", title, lines)]
    return document


def _paper_tables(rows: assemble.Rows, lines: list[TableRow], runner: Runner) -> list[ReportTable]:
    ranks = assemble.all_ranks(rows)
    return [
        assemble.cost_table("table3", rows, lines, paper_notes(rows, runner)),
        ReportTable(
            "shares",
            "NDCG@10 relative to the whole model",
            [Column("here", "here", "share"), Column("paper", "in the paper", "share"), *DIFFERENCE],
            [
                _share(line, lines[0], ranks, PAPER[line.label][1] / PAPER[OWN][1])
                for line in lines
                if line.label in PAPER
            ],
            [
                "The paper uses its own private luggage and bags data: compare the pattern, not the values.",
                READING,
            ],
        ),
        ReportTable(
            "responses",
            "Responses of the test rows",
            RESPONSES,
            [_responses(label, outcomes) for label, outcomes in rows.items() if label in PAPER],
        ),
    ]


def _shipped_tables(rows: assemble.Rows, lines: list[TableRow], runner: Runner) -> list[ReportTable]:
    ranks = assemble.all_ranks(rows)
    return [
        assemble.cost_table("metrics", rows, lines, shipped_notes(rows, runner)),
        ReportTable(
            "shares",
            "NDCG@10 relative to the default",
            [Column("here", "share of the default", "share"), *DIFFERENCE],
            [_share(line, lines[0], ranks) for line in lines],
            [READING],
        ),
    ]


DIFFERENCE = effect_columns("row minus whole")
READING = f"Row minus whole: below 0 where the part helps. {INTERVAL}"
RESPONSES = [
    Column("format", "right format", "share"),
    Column("id", "existing ID", "share"),
    Column("purchases", "training prompts that end in a purchase", "share"),
]


def _responses(label: str, outcomes: Sequence[Outcome]) -> TableRow:
    def cell(*path: str) -> Value | None:
        found = [float(value) for value in assemble.details(outcomes, *path)]
        return assemble.values(found) if found else None

    cells: dict[str, Cell] = {
        "format": cell("generation", "format_rate"),
        "id": cell("generation", "valid_id_rate"),
        "purchases": cell("generation", "purchase_response_share"),
    }
    return TableRow(label, cells, ranked=False)


def _share(line: TableRow, whole: TableRow, ranks: pd.DataFrame, in_paper: float | None = None) -> TableRow:
    if line.reason:
        return TableRow(line.label, reason=line.reason)
    own, all_of_it = assemble.mean(line, "ndcg@10"), assemble.mean(whole, "ndcg@10")
    here = own / all_of_it if own is not None and all_of_it else None
    cells: dict[str, Cell] = {"here": here}
    if in_paper is not None:
        cells["paper"] = in_paper
    if line is not whole:
        cells |= effect_cells(contrast(ranks, {line.label: 1, whole.label: -1}, "ndcg@10"))
    return TableRow(line.label, cells, ranked=False)


def paper_notes(rows: assemble.Rows, runner: Runner) -> list[str]:
    """Notes on the rows of the paper's form."""
    config = runner.config(Entry("", OWN, paper_form()))
    texts = [f"{row.label}: {row.note}." for row in PAPER_ROWS if row.label in rows]
    texts.append(
        "A response that holds nothing a row ranks by is ranked by popularity: without ID and title, in (3) without an "
        "ID that exists, in (4) to (7) without a title."
    )
    if note := size_note(config):
        texts.append(note)
    texts.extend(_clip_notes(config, "(5)", runner))
    texts.append(
        "With mixup_m = 1 the nearest item to a generated ID in CORE's table is that item itself, so CORE affects only "
        "the lower ranks of (3)."
    )
    return texts + _tuned_notes(rows)


def shipped_notes(rows: assemble.Rows, runner: Runner) -> list[str]:
    """Notes on the rows of the form that ships."""
    texts = [f"{row.label}: {row.note}." for row in SHIPPED_ROWS if row.label in rows]
    return texts + _clip_notes(runner.config(Entry("", OWN)), "ranking: clip", runner) + _tuned_notes(rows)


def _clip_notes(config: Any, row: str, runner: Runner) -> list[str]:
    """What a reader should know of the row by CLIP, and of that without a memory."""
    if config["clip_pretrained"]:
        return []
    if not has_text_tower(runner):
        return [
            f"{row} is left out: the log has no queries to train a text tower on, and clip_pretrained is empty. Nor is "
            "there a query-product memory: the row without it is the whole model."
        ]
    return [
        f"{row} has no pretrained CLIP: the text tower was trained on the (query, title) pairs of this log, as the "
        "LSTM is. It is not comparable with the paper."
    ]


def _tuned_notes(rows: assemble.Rows) -> list[str]:
    tuned: list[Any] = assemble.details(rows[OWN], "tuned")
    if any(tuned):
        return ["All rows use the tuned keys of the whole model; the variants were not tuned separately."]
    return []
