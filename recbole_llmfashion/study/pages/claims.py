"""The paper's claims on every dataset, read from the pages of `study reproduce`."""

from collections.abc import Mapping
from typing import Any

from recbole_llmfashion.evaluation.markdown import markdown_table
from recbole_llmfashion.study.report.cells import p_value

NOT_DECIDED = ", not decided"
INTRODUCTION = """Each cell: the verdict by means over seeds, the effect (positive where the claim holds), its 95 %
interval and p over the test users (bootstrap, randomization test). Where the interval holds 0, these users do not
decide."""


def claims_page(pages: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown page: a row per claim, a column per dataset with verdict, effect, interval and p.

    Args:
        pages: results.json of `study reproduce` by name of the page.
    """
    of_dataset = {results["dataset"]: _claims(results) for results in pages.values()}
    texts = list(dict.fromkeys(text for claims in of_dataset.values() for text in claims))
    rows = [[text, *(claims.get(text, "") for claims in of_dataset.values())] for text in texts]
    links = [f"[{results['dataset']}]({name}/table.md)" for name, results in pages.items()]
    counts = [_count(name, claims) for name, claims in of_dataset.items()]
    return "\n".join(
        [
            "# The paper's claims",
            "",
            INTRODUCTION,
            "",
            *markdown_table(["claim", *links], rows),
            "",
            *(f"- {count}" for count in counts),
            "",
        ]
    )


def _claims(results: Mapping[str, Any]) -> dict[str, str]:
    table = next(table for table in results["tables"] if table["name"] == "claims")
    return {row["label"]: _cell(row["cells"]) for row in table["rows"]}


def _cell(cells: Mapping[str, Any]) -> str:
    if cells.get("effect") is None:
        return str(cells["verdict"])
    interval = f"{cells['low']:+.4f} to {cells['high']:+.4f}"
    open_ = cells["low"] <= 0 <= cells["high"]
    verdict = f"{cells['verdict']}{NOT_DECIDED if open_ else ''}"
    return f"{verdict}: {cells['effect']:+.4f} ({interval}), p {p_value(cells['p'])}"


def _count(dataset: str, claims: Mapping[str, str]) -> str:
    verdicts = [cell.partition(":")[0] for cell in claims.values()]
    open_ = sum(verdict.endswith(NOT_DECIDED) for verdict in verdicts)
    return (
        f"{dataset}: {verdicts.count('holds')} of {len(claims)} hold, {verdicts.count('does not hold')} do not, "
        f"{open_} are not decided by the test users, {verdicts.count('cannot be tested')} cannot be tested."
    )
