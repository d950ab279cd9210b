"""What an audit found, a plain sentence each."""

from collections.abc import Mapping, Sequence

import numpy as np

from recbole_llmfashion.study.audit.findings import Extraction, KeptQueries, Membership
from recbole_llmfashion.study.audit.measures.contents import Held
from recbole_llmfashion.study.audit.measures.exposure import Chance
from recbole_llmfashion.study.audit.measures.lists import PAIR, ListExposures

THINGS = {"id": "a product's ID", "title": "a title", "query": "a query"}
MODES = {
    "constrained": "asked within the constraint",
    "sampled": "asked by sampling",
    "text": "read as the text of a prompt",
}


def mean_bits(bits: Sequence[float], numbers: Sequence[int], number: int) -> float | None:
    """The mean of the canaries of one count; None without any."""
    chosen = [bit for bit, own in zip(bits, numbers, strict=True) if own == number]
    return float(np.mean(chosen)) if chosen else None


def exposed(bits: Sequence[float], numbers: Sequence[int], chance: Chance) -> list[int]:
    """The counts of customers whose canaries are more exposed than chance explains."""
    found = []
    for number in sorted(set(numbers) - {0}):
        mean = mean_bits(bits, numbers, number)
        if mean is not None and mean > chance.beyond(list(numbers).count(number)):
            found.append(number)
    return found


def customers(number: int) -> str:
    """A number of customers.

    >>> customers(1), customers(2)
    ('one customer', '2 customers')
    """
    return "one customer" if number == 1 else f"{number} customers"


def of_exposure(kind: str, mode: str, bits: Sequence[float], numbers: Sequence[int], chance: Chance) -> str:
    """Of a kind and a mode."""
    found, thing = exposed(bits, numbers, chance), THINGS[kind]
    if not found:
        return f"The LLM, {MODES[mode]}, gives {thing} away no more than chance, up to {customers(max(numbers))}."
    mean = mean_bits(bits, numbers, found[0])
    return (
        f"The LLM, {MODES[mode]}, gives {thing} of {customers(found[0])} away: {mean:.1f} of {chance.most:.1f} bits, "
        f"where chance gives {chance.mean:.1f}."
    )


def of_list(found: ListExposures, numbers: Sequence[int], chance: Chance) -> str:
    """Of the exact query, or the product before, with one min_askers."""
    counts, does, took = exposed(found.bits, numbers, chance), "types the query of", "clicked"
    if found.probe == PAIR:
        does, took = "buys the first product of", "bought"
    if not counts:
        start = f"With min_askers {found.min_askers}, whoever {does} a canary"
        return f"{start} finds its product no sooner than by chance."
    ten = sum(top for top, own in zip(found.first_ten, numbers, strict=True) if own == counts[0])
    sooner = "" if ten else " sooner than by chance"
    return (
        f"With min_askers {found.min_askers}, whoever {does} {customers(counts[0])} finds the product that "
        f"was {took} after it{sooner}: among the first ten for {ten} of {list(numbers).count(counts[0])} canaries."
    )


def of_extraction(found: Extraction) -> str:
    """Of queries or titles."""
    shares = f"{found.training.value:.1%} of training {found.kind}, {found.others.value:.1%} of others"
    if found.training.more_than(found.others):
        return f"The LLM says training {found.kind} word for word more often than others: {shares}."
    return f"The LLM says training {found.kind} word for word no more often than others: {shares}."


def of_membership(found: Membership) -> str:
    """Of a loss or a rank."""
    area = f"AUC {found.auc.value:.2f} ± {found.auc.error:.2f}"
    if found.auc.tells:
        return f"By the {found.by}, customers of training rows are told from others: {area}."
    return f"By the {found.by}, customers of training rows are not told from others: {area}."


def of_kept(kept: Sequence[KeptQueries]) -> list[str]:
    """Of the memory's queries."""
    if not kept[0].queries:
        return ["The run has no memory, so it holds no query word for word."]
    shares = [
        f"{one.queries:,} with min_askers {one.min_askers}"
        + ("" if one.training is None else f" ({one.training:.1%} of the training queries)")
        for one in kept
    ]
    return [f"Queries that stand in the memory word for word: {', '.join(shares)}."]


def of_ids(files: Mapping[str, int]) -> list[str]:
    """Of the files with words that are ids of customers, without the words: a page may go further than the data.

    >>> of_ids({}), of_ids({"run/a.parquet": 2})
    (['No file of the run has an id of a customer.'], ['Ids of 2 customers, or words equal to them: run/a.parquet.'])
    """
    if not files:
        return ["No file of the run has an id of a customer."]
    return [f"Ids of {customers(number)}, or words equal to them: {file}." for file, number in files.items()]


def of_held(held: Sequence[Held]) -> list[str]:
    """Of the canaries' words in the files."""
    found = [one for one in held if one.count and one.words]
    if not found:
        return ["No file of the run has a word of a canary's query."]
    first = min(found, key=lambda one: one.count)
    return [f"Words of a query of {customers(first.count)} stand in {', '.join(first.files)}."]
