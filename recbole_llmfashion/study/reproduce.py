"""The claims of the paper as a checklist: each holds, does not hold or cannot be tested, with its figures.

The rows are those of the other studies; cached ones are reused. A claim compares means over seeds. Its effect is the
compared difference, with an interval and a p-value over the test users, where it is one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.evaluation.result_table import COLUMNS
from recbole_llmfashion.study import ablation, cold_start, compare, low_resource
from recbole_llmfashion.study.report import assemble
from recbole_llmfashion.study.report.document import METRIC_TITLES, Cell, Column, Document, ReportTable, TableRow
from recbole_llmfashion.study.report.effects import INTERVAL, Effect, contrast, effect_cells, effect_columns
from recbole_llmfashion.study.request import (
    FORM_LABELS,
    ID_MODELS,
    OWN,
    TEXT_MODELS,
    StudyRequest,
    label_of,
)
from recbole_llmfashion.study.runner import Entry, Runner

METRIC = "ndcg@10"
SMALL = 0.1  # a drop below 10 % is "small"; the drop from (4) to (6) is 4 % in the paper
QUERY = label_of("RecformerQuery")
SMALL_DROP = f"From (4) to (6) the drop is small (at most {SMALL:.0%})"
QUERIES_HELP = "Queries help Recformer"
# Claims about the memory or about queries alone; without searches their rows are the same row twice.
OF_SEARCHES = (f"{ablation.LABELS['2-no-memory']} is worse", SMALL_DROP, QUERIES_HELP)
Numbers = Mapping[str, float]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper and its result.

    Args:
        text: the claim.
        holds: None if it cannot be tested.
        figures: the compared numbers, or the reason why there are none.
        weights: of the rows in the effect; empty where the claim is no sum of rows.
        metric: of the effect.
        effect: positive where the claim holds.
    """

    text: str
    holds: bool | None
    figures: str
    weights: Mapping[str, float] = field(default_factory=dict)
    metric: str = METRIC
    effect: Effect | None = None

    @property
    def verdict(self) -> str:
        """The result in words."""
        return "cannot be tested" if self.holds is None else "holds" if self.holds else "does not hold"


def claim(
    text: str, numbers: Numbers, labels: list[str], holds: Callable[..., bool], weights: Sequence[float] = ()
) -> Claim:
    """A claim about the NDCG@10 of some rows; it cannot be tested if a row is missing.

    Args:
        text: the claim.
        numbers: NDCG@10 by label of the row.
        labels: labels of the compared rows.
        holds: takes the numbers of these rows, in order.
        weights: of these rows in the effect, in order.
    """
    missing = [label for label in labels if label not in numbers]
    if missing:
        return Claim(text, None, f"no figure of {', '.join(missing)}")
    compared = [numbers[label] for label in labels]
    figures = ", ".join(f"{label} {value:.4f}" for label, value in zip(labels, compared, strict=True))
    return Claim(text, holds(*compared), figures, dict(zip(labels, weights, strict=True)) if weights else {})


def with_effects(claims: Sequence[Claim], ranks: pd.DataFrame) -> list[Claim]:
    """The claims with their effects.

    Args:
        claims: about some rows.
        ranks: of these rows, of the test users that the claims are about.
    """
    return [
        replace(one, effect=contrast(ranks, one.weights, one.metric)) if one.weights and one.holds is not None else one
        for one in claims
    ]


def best_claims(lines: list[TableRow]) -> list[Claim]:
    """LLMFashionRec is best in each metric."""
    claims = []
    for metric in COLUMNS:
        text = f"Ours is best in {METRIC_TITLES[metric]}"
        own = next((assemble.mean(line, metric) for line in lines if line.label == OWN), None)
        other = assemble.best_other(lines, OWN, metric)
        if own is None or other is None:
            claims.append(Claim(text, None, "rows are missing"))
            continue
        figures = f"{OWN} {own:.4f}, {other[0]} {other[1]:.4f}"
        claims.append(Claim(text, own > other[1], figures, {OWN: 1, other[0]: -1}, metric))
    return claims


def ablation_claims(numbers: Numbers) -> list[Claim]:
    """Table 3: every part contributes, CLIP is worse than the LSTM, (4) to (6) is a small drop, attributes matter."""
    labels = list(ablation.LABELS.values())
    four, five, six, seven = labels[3:7]
    return [
        *(claim(f"{label} is worse", numbers, [OWN, label], lambda own, part: part < own, (1, -1)) for label in labels),
        claim(
            "The CLIP title list (5) is worse than the LSTM's (4)", numbers, [four, five], lambda a, b: b < a, (1, -1)
        ),
        claim(
            SMALL_DROP,
            numbers,
            [four, six],
            lambda a, b: (1 - SMALL) * a <= b,
            (SMALL - 1, 1),
        ),
        claim("From (6) to (7) attributes matter", numbers, [six, seven], lambda a, b: b < a, (1, -1)),
    ]


def cold_claims(numbers: Numbers) -> list[Claim]:
    """Figure 4, NDCG@10 on cold targets; an ID model counts with its "+cold" row too."""
    return [
        _text_over_id("Text models beat ID models when cold", numbers, ""),
        claim("Ours is above Recformer when cold", numbers, [OWN, "Recformer"], lambda a, b: a > b, (1, -1)),
    ]


def _text_over_id(text_of_claim: str, numbers: Numbers, suffix: str) -> Claim:
    """The best text model is above the best ID model."""
    text = {m: numbers[f"{label_of(m)}{suffix}"] for m in TEXT_MODELS if f"{label_of(m)}{suffix}" in numbers}
    of_id = [f"{m}{cold}{suffix}" for m in ID_MODELS for cold in ("", cold_start.PLUS)]
    by_id = {label: numbers[label] for label in of_id if label in numbers}
    if not text or not by_id:
        return Claim(text_of_claim, None, "no text row or no ID row")
    best = max(text, key=text.__getitem__), max(by_id, key=by_id.__getitem__)
    figures = f"{label_of(best[0])} {text[best[0]]:.4f}, {best[1].removesuffix(suffix)} {by_id[best[1]]:.4f}"
    weights = {f"{label_of(best[0])}{suffix}": 1.0, best[1]: -1.0}
    return Claim(text_of_claim, text[best[0]] > by_id[best[1]], figures, weights)


def resource_claims(numbers: Numbers, low: float, high: float) -> list[Claim]:
    """Figure 6: text models win on little data; the gain over Recformer grows with data, over CORE with sparsity."""
    ends = [low_resource.label(OWN, low), low_resource.label(OWN, high)]
    recformer = [low_resource.label("Recformer", share) for share in (low, high)]
    core = [low_resource.label("CORE", share) for share in (low, high)]
    return [
        _text_over_id(f"Text models beat ID models with {low:g} % of the users", numbers, f", {low:g} %"),
        claim(
            "Ours gains more over Recformer with more data",
            numbers,
            [*ends, *recformer],
            lambda own_low, own_high, other_low, other_high: own_high - other_high > own_low - other_low,
            (-1, 1, 1, -1),
        ),
        claim(
            f"The gain over CORE grows with sparsity (here: with {low:g} % of the training users)",
            numbers,
            [*ends, *core],
            lambda own_low, own_high, core_low, core_high: own_low * core_high > own_high * core_low,
        ),
    ]


def reproduce(request: StudyRequest, runner: Runner) -> Document:
    """Runs every row that a claim is about, or takes it from the cache.

    Raises:
        UserError: the shares are not two or more, the dataset is among the targets, see `refuse_cold_token`, or a row
            of any part is invalid, before the first one runs.
    """
    cold_start.refuse_cold_token(request)
    low, high = _ends(request)
    targets = request.targets
    entries = {
        "compare": compare.entries(request.models),
        "ablation": ablation.paper_entries(ablation.has_text_tower(runner)),
        "low-resource": low_resource.entries(("CORE", "SASRec", *TEXT_MODELS), (low, high)),
        "cold-start": cold_start.plus_cold(request.models),
        "zero-shot": [entry for target in targets for entry in _zero_shot_entries(target, request.dataset)],
    }
    for part, of_part in entries.items():
        runner.check(of_part, part)
    parts = {part: runner.run(entries[part], part) for part in ("compare", "ablation", "low-resource")}
    rows = parts["compare"]
    with_cold = {**rows, **runner.run(entries["cold-start"], "cold-start")}
    seen = cold_start.seen_items(runner, request.dataset)
    cold = [cold_start.part_row(label, outcomes, seen, False) for label, outcomes in with_cold.items()]
    numbers = {name: _numbers([assemble.row(*pair) for pair in part.items()]) for name, part in parts.items()}
    ranks = {name: assemble.all_ranks(part) for name, part in parts.items()}
    queries = claim(QUERIES_HELP, numbers["compare"], ["Recformer", QUERY], lambda a, b: b > a, (-1, 1))
    best = best_claims(
        [line for line in (assemble.row(*pair) for pair in rows.items()) if line.label not in FORM_LABELS]
    )
    cold_ranks = assemble.all_ranks(with_cold)
    cold_ranks = cold_ranks[~cold_ranks["target"].isin(seen)]
    claims = [
        *with_effects(best, ranks["compare"]),
        *with_effects(ablation_claims(numbers["ablation"]), ranks["ablation"]),
        *with_effects([queries], ranks["compare"]),
        *with_effects(cold_claims(_numbers(cold)), cold_ranks),
        *with_effects(resource_claims(numbers["low-resource"], low, high), ranks["low-resource"]),
        *_zero_shot_claims(targets, request.dataset, runner),
        _format_claim(rows),
    ]
    if not len(runner.loaders(request.dataset).dataset.search_log):
        claims = [
            Claim(one.text, None, "the log has no searches") if one.text in OF_SEARCHES else one for one in claims
        ]
    document = assemble.document(request, runner, f"The paper's claims on {request.dataset}", runner.ran)
    document.tables = [ReportTable("claims", "Claims", COLUMNS_OF_CLAIMS, list(map(_line, claims)), NOTES, "claim")]
    return document


COLUMNS_OF_CLAIMS = [
    Column("verdict", "verdict", "text"),
    Column("figures", "figures (NDCG@10 unless named)", "text"),
    *effect_columns("effect"),
]
NOTES = [
    "A verdict compares means. effect: positive where the claim holds; a difference of two rows, or of two such "
    f"differences; for the small drop, (6) minus {1 - SMALL:.0%} of (4). {INTERVAL}"
]


def _line(one: Claim) -> TableRow:
    cells: dict[str, Cell] = {"verdict": one.verdict, "figures": one.figures, **effect_cells(one.effect)}
    return TableRow(one.text, cells, ranked=False)


def _numbers(lines: list[TableRow]) -> dict[str, float]:
    means = {line.label: assemble.mean(line, METRIC) for line in lines}
    return {label: value for label, value in means.items() if value is not None}


def _ends(request: StudyRequest) -> tuple[float, float]:
    """The smallest and the largest share in per cent."""
    percentages = low_resource.shares(request)
    if len(percentages) < 2:
        raise UserError(f"--shares: expected two percentages or more, found '{request.options['shares']}'; add 100")
    return min(percentages), max(percentages)


def _zero_shot_entries(target: str, source: str) -> list[Entry]:
    return [
        Entry(f"{model} on {target}", model, {"source_dataset": source, **keys}, target)
        for model, keys in ((OWN, {"zero_shot_target_log": False}), ("Recformer", {}))
    ]


def _zero_shot_claims(targets: Sequence[str], source: str, runner: Runner) -> list[Claim]:
    text = "Ours is above Recformer in zero-shot"
    if not targets:
        return [Claim(text, None, "not run; give --targets=B,C")]
    claims = []
    for target in targets:
        entries = _zero_shot_entries(target, source)
        rows = runner.run(entries, "zero-shot")
        labels = [entry.label for entry in entries]
        numbers = _numbers([assemble.row(*pair) for pair in rows.items()])
        one = claim(f"{text}, {target}", numbers, labels, lambda a, b: a > b, (1, -1))
        claims += with_effects([one], assemble.all_ranks(rows))
    return claims


def _format_claim(rows: assemble.Rows) -> Claim:
    """Every response is well-formed after the curriculum; `format_failures` come from unconstrained sampling."""
    measured = assemble.details(rows.get(OWN, []), "generation", "format_failures")
    text = "After the curriculum the format is valid"
    if not measured:
        return Claim(text, None, f"no row of {OWN}")
    failures = [failure for failure in measured if "after_hard" in failure]
    if not failures:
        return Claim(text, None, "responses train without titles; --loss_on_title=True samples and checks them")
    worst = max(failures, key=lambda failure: failure["after_hard"])
    shares = ", ".join(f"{name.replace('_', ' ')} {value:.1%}" for name, value in worst.items())
    return Claim(text, worst["after_hard"] == 0, f"share of malformed sampled responses: {shares}")
