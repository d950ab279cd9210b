"""A toy shop: titles from a small grammar, queries that mean them in other words."""

import numpy as np

# each word of a title and two that a query says for it; no query shares a word with a title, so what an untrained
# encoder finds by equal words is nothing
COLORS = {
    "black": ("ebony", "jet"),
    "white": ("ivory", "snow"),
    "red": ("crimson", "ruby"),
    "blue": ("navy", "azure"),
    "green": ("olive", "moss"),
    "brown": ("tan", "umber"),
}
KINDS = {
    "boots": ("bootie", "wellies"),
    "sandals": ("slides", "flipflop"),
    "sneakers": ("trainers", "kicks"),
    "handbag": ("purse", "clutch"),
    "scarf": ("wrap", "shawl"),
}
STYLES = {
    "leather": ("hide", "suede"),
    "summer": ("beach", "sunny"),
    "running": ("sport", "gym"),
    "party": ("evening", "gala"),
}


def shop(seed: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[str]]:
    """Training pairs, held-out pairs in unseen wordings, and the catalogue of 120 titles."""
    generator = np.random.default_rng(seed)
    words = [COLORS, STYLES, KINDS]
    train, held, catalogue = [], [], []
    for color in COLORS:
        for style in STYLES:
            for kind in KINDS:
                title = f"Brand{len(catalogue) % 7} {style} {kind} {color}"
                catalogue.append(title)
                wordings = []
                for choice in range(8):
                    terms = [
                        synonyms[word][choice >> place & 1]
                        for place, (synonyms, word) in enumerate(zip(words, (color, style, kind), strict=True))
                    ]
                    wordings.append(" ".join(terms))
                order = generator.permutation(8)
                train += [(wordings[i], title) for i in order[:4]]
                held += [(wordings[i], title) for i in order[4:6]]
    return train, held, catalogue


def shuffled(pairs: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """The same queries with each other's titles."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    return [(query, pairs[i][1]) for (query, _), i in zip(pairs, order, strict=True)]


def recall(queries: np.ndarray, titles: np.ndarray, right: list[int], k: int) -> float:
    """Share of the queries whose right title is among the k closest."""
    scores = queries @ titles.T
    own = scores[np.arange(len(right)), right]
    return float(((scores > own[:, None]).sum(axis=1) < k).mean())
