"""Dataclasses of a category, its product types and its behaviour; the types are in types_fashion and types_contrast."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProductType:
    """One type of product.

    Args:
        name: unique within the category.
        nouns: names in titles and queries.
        materials, features: words in titles and queries.
        sizes: size scheme, a key of words.SIZES.
        price: median price in dollars.
        weight: share of supply and demand within the category, not normalized.
        season: typical season, "" for none.
        occasions: typical occasions.
        audiences: audiences of the type, empty for all of the category.
        companion: name of the type that is often bought next, "" for none.
    """

    name: str
    nouns: tuple[str, ...]
    materials: tuple[str, ...]
    features: tuple[str, ...]
    sizes: str
    price: float
    weight: float = 1.0
    season: str = ""
    occasions: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    companion: str = ""


@dataclass(frozen=True)
class Behaviour:
    """Shopping behaviour in a category, and the turnover of its products (the paper's section 3).

    Args:
        new_share: share of the catalogue that arrives during the year (C1).
        fade_days: e-folding time of an item's attractiveness (C1).
        colors, sizes: mean number of colors and sizes in a product family (C2).
        clicks: mean item clicks after one list of results (C2).
        walk: probability that the next click is on an item of the same family or a similar price (C2).
        season: exponent on the seasonal demand, 0 = none (C3).
        occasion: scale on the demand for occasions, 0 = none (C3).
        want_color: share of sessions with a wanted color.
        detail: probability that the query contains a wanted attribute (C4).
        synonyms: probability that a query uses any synonym instead of the most common word (C4).
        typos: probability of a misspelled word (C4).
        refine: probability that a search is followed by another one in the session.
        buy: log-odds of a purchase in a session, without the effect of fit.
    """

    new_share: float
    fade_days: float
    colors: float
    sizes: float
    clicks: float
    walk: float
    season: float
    occasion: float
    want_color: float
    detail: float
    synonyms: float
    typos: float
    refine: float
    buy: float


@dataclass(frozen=True)
class Category:
    """A category of the paper, or one of the two contrasts of its section 3.

    Args:
        name: of the category.
        users, items: numbers of Table 1.
        mean_length: mean number of item actions after the click filter, of Table 1.
        audiences: (name, share).
        styles: names.
        types: its product types.
        behaviour: of its customers.
    """

    name: str
    users: int
    items: int
    mean_length: float
    audiences: tuple[tuple[str, float], ...]
    styles: tuple[str, ...]
    types: tuple[ProductType, ...]
    behaviour: Behaviour


FASHION_STYLES = ("Classic", "Sporty", "Boho", "Minimalist", "Street")
# new_share: docs/method.md, section 3: fashion 3.6 times electronics and 6.7 times toys
FASHION = Behaviour(
    new_share=0.6, fade_days=80.0, colors=2.8, sizes=2.6, clicks=3.0, walk=0.5, season=1.0, occasion=1.0,
    want_color=0.6, detail=0.5, synonyms=0.5, typos=0.07, refine=0.34, buy=-0.3,
)  # fmt: skip
ELECTRONICS = Behaviour(
    new_share=0.6 / 3.6, fade_days=420.0, colors=1.5, sizes=1.3, clicks=2.2, walk=0.3, season=0.15, occasion=0.15,
    want_color=0.25, detail=0.55, synonyms=0.6, typos=0.07, refine=0.2, buy=-0.35,
)  # fmt: skip
TOYS = Behaviour(
    new_share=0.6 / 6.7, fade_days=420.0, colors=1.4, sizes=1.3, clicks=2.0, walk=0.25, season=0.3, occasion=0.2,
    want_color=0.2, detail=0.44, synonyms=0.42, typos=0.05, refine=0.18, buy=-0.25,
)  # fmt: skip
