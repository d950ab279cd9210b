"""The page of an audit: tables, a figure and sentences."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from recbole_llmfashion.llm.modeling.tiny_falcon import TINY_FALCON
from recbole_llmfashion.pipeline.export import backbone_name
from recbole_llmfashion.pipeline.manifest import Manifest
from recbole_llmfashion.study.audit import sentences
from recbole_llmfashion.study.audit.findings import Findings
from recbole_llmfashion.study.audit.measures.exposure import Chance
from recbole_llmfashion.study.audit.measures.lists import EXACT
from recbole_llmfashion.study.audit.run_audit import AuditSettings
from recbole_llmfashion.study.report.document import Cell, Column, Document, Figure, ReportTable, Series, TableRow
from recbole_llmfashion.versions import versions

_Row = tuple[str, Sequence[Cell]]  # its label, and the values of the first columns

SIMULATED = (
    "The backbone tiny-falcon was pre-trained in shops of the simulator. On simulated data it knows their words and "
    "habits before it sees a customer, so the figures say how this run behaves, not how one on real customers does."
)
NOTES = [
    "Exposure: log2(N) - log2(rank) among N - 1 candidates that are made alike and in no row (Carlini et al. 2019).",
    "Above chance: a mean more than two standard errors above what chance gives. One in forty such "
    "comparisons is expected to be above it without a cause.",
]


def assemble(
    manifest: Manifest, findings: Findings, settings: AuditSettings, command: str, made_by_simulator: bool
) -> Document:
    """The document of an audit.

    Args:
        manifest: of the run.
        findings: of `audit`.
        settings: of the audit.
        command: the command line.
        made_by_simulator: whether the data is simulated, as far as is known.
    """
    name, backbone = str(manifest.content["dataset"]), backbone_name(manifest.content)
    tables = [_files(findings), _held(findings), _exposures(findings), _lists(findings)]
    tables += [_extraction(findings), _membership(findings), _missing(findings)]
    asked = {key: value for key, value in asdict(settings).items() if key != "show_progress"}
    return Document(
        study="audit",
        title=f"What a run tells of customers: {name}",
        dataset=name,
        data={name: dict(manifest.content["data"])},
        seeds=[settings.seed],
        command=command,
        versions=versions(),
        settings={"run": manifest.digest[:16], "backbone": backbone, **asked},
        tables=[table for table in tables if table.rows],
        figures=_figures(findings),
        notes=[*NOTES, *([SIMULATED] if made_by_simulator and backbone == TINY_FALCON else [])],
    )


def _table(
    name: str, title: str, label: str, columns: Sequence[Column], rows: Iterable[_Row], notes: Iterable[str]
) -> ReportTable:
    """A table whose rows have values for the first columns; those behind them stay empty."""
    keys = [column.key for column in columns]
    table_rows = [TableRow(of, dict(zip(keys, values, strict=False))) for of, values in rows]
    return ReportTable(name, title, columns, table_rows, list(notes), label)


def _files(findings: Findings) -> ReportTable:
    counts = findings.counts
    values = {
        "queries of one customer alone": counts.of_one,
        "customers of the rarest query": counts.fewest,
        "digests of the evaluation's prompts": counts.responses,
        "pairs of items of one customer alone": counts.pairs_of_one,
        "items of one training action": counts.items_of_one,
        "files with ids of customers": None if findings.of_customers is None else len(findings.of_customers),
    }
    rows: list[_Row] = [
        *((f"queries, min_askers {one.min_askers}", (one.queries, one.training)) for one in findings.kept),
        *((label, (value,)) for label, value in values.items() if value is not None),
    ]
    columns = [Column("number", "number", "count"), Column("share", "of the training queries", "share")]
    known = findings.of_customers
    notes = [*sentences.of_kept(findings.kept), *([] if known is None else sentences.of_ids(known))]
    return _table("files", "What the files hold", "of the run folder", columns, rows, notes)


def _held(findings: Findings) -> ReportTable:
    columns = [
        Column("queries", "canaries whose query is in a file", "count"),
        Column("words", "canaries of whose query a word is", "count"),
        Column("files", "files", "text"),
    ]
    rows = [(str(one.count or "none"), (one.queries, one.words, ", ".join(one.files))) for one in findings.held]
    notes = sentences.of_held(findings.held) if rows else []
    return _table("held", "Canaries in the files", "customers of a canary", columns, rows, notes)


def _counts(findings: Findings) -> list[int]:
    return sorted(set(findings.numbers))


def _count_columns(findings: Findings) -> list[Column]:
    names = {count: "no customer" if not count else sentences.customers(count) for count in _counts(findings)}
    return [Column(f"of_{count}", name, "number") for count, name in names.items()]


def _bits(findings: Findings, bits: Sequence[float]) -> dict[str, Cell]:
    found = {f"of_{count}": sentences.mean_bits(bits, findings.numbers, count) for count in _counts(findings)}
    return {key: None if value is None else f"{value:.2f}" for key, value in found.items()}


def _exposures(findings: Findings) -> ReportTable:
    rows, notes = [], _chance_note(findings)
    for one in findings.exposures:
        label = f"{one.kind}, {one.mode}"
        if one.reason:
            rows.append(TableRow(label, reason=one.reason))
            continue
        rows.append(TableRow(label, _bits(findings, one.bits)))
        notes.append(sentences.of_exposure(one.kind, one.mode, one.bits, findings.numbers, Chance(findings.candidates)))
    title = "Exposure of canaries in the weights of the LLM, bits"
    return ReportTable("exposure", title, _count_columns(findings), rows, notes, "asked for")


def _chance_note(findings: Findings) -> list[str]:
    if not findings.numbers:
        return []
    chance = Chance(findings.candidates)
    each = list(findings.numbers).count(findings.numbers[0])
    return [
        f"{each} canaries of each count, N = {findings.candidates}: at most {chance.most:.2f} bits; chance gives "
        f"{chance.mean:.2f}, and less than {chance.beyond(each):.2f} in 39 of 40 audits."
    ]


def _lists(findings: Findings) -> ReportTable:
    rows: list[_Row] = []
    for one in findings.lists:
        planted = [top for top, count in zip(one.first_ten, findings.numbers, strict=True) if count]
        values = (*_bits(findings, one.bits).values(), sum(planted) / len(planted))
        rows.append((f"min_askers {one.min_askers}, {one.probe}", values))
    columns = [*_count_columns(findings), Column("ten", "in the first ten of all items", "share")]
    chance = Chance(findings.candidates)
    notes = [sentences.of_list(one, findings.numbers, chance) for one in findings.lists if one.probe in EXACT]
    title = "Exposure of a canary's product in the served list, bits"
    return _table("lists", title, "after", columns, rows, notes)


def _extraction(findings: Findings) -> ReportTable:
    columns = [
        Column("training", "of training rows, said", "share"),
        Column("asked", "asked", "count"),
        Column("others", "of no training row, said", "share"),
        Column("asked_others", "asked", "count"),
    ]
    rows = [
        (one.kind, (one.training.value, one.training.asked, one.others.value, one.others.asked))
        for one in findings.extraction
    ]
    notes = map(sentences.of_extraction, findings.extraction)
    return _table("extraction", "Said word for word after the first half", "texts", columns, rows, notes)


def _membership(findings: Findings) -> ReportTable:
    columns = [
        Column("auc", "AUC", "number"),
        Column("error", "standard error", "number"),
        Column("members", "training customers", "count"),
        Column("others", "other customers", "count"),
    ]
    rows = [
        (one.by, (f"{one.auc.value:.3f}", f"{one.auc.error:.3f}", one.members, one.others))
        for one in findings.membership
    ]
    notes = map(sentences.of_membership, findings.membership)
    return _table("membership", "Training customers against others", "told by", columns, rows, notes)


def _missing(findings: Findings) -> ReportTable:
    rows = [TableRow(part, reason=reason) for part, reason in findings.missing.items()]
    return ReportTable("missing", "Not audited", [Column("none", "", "text")], rows, [], "part")


def _figures(findings: Findings) -> list[Figure]:
    """Mean bits by the number of customers of a canary: of the LLM's weights, and of the served list."""
    of_llm = [(f"{one.kind}, {one.mode}", one.bits) for one in findings.exposures if not one.reason]
    exact = [one for one in findings.lists if one.probe in EXACT]
    of_list = [(f"min_askers {one.min_askers}", one.bits) for one in exact]
    after = f"Exposure of a canary's product in the list after {exact[0].probe}" if exact else ""
    most = f"of at most {Chance(findings.candidates).most:.1f} bits" if findings.candidates else ""
    titles = (
        ("exposure", "Exposure of canaries in the weights of the LLM", of_llm),
        ("lists", after, of_list),
    )
    return [_figure(findings, name, f"{title}, {most}", named) for name, title, named in titles if named]


def _figure(findings: Findings, name: str, caption: str, named: Sequence[tuple[str, Sequence[float]]]) -> Figure:
    counts = _counts(findings)
    series = [
        Series(label, counts, [sentences.mean_bits(bits, findings.numbers, count) for count in counts])
        for label, bits in named
    ]
    series.append(Series("chance", counts, [Chance(findings.candidates).mean] * len(counts)))
    return Figure(name, caption, "lines", "customers of a canary", "exposure, bits", series)
