"""Cleaned titles and queries of a dataset, and the cleaning itself."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recbole_llmfashion.data.dataset import LLMFashionRecDataset

UNTITLED = "untitled"  # replaces a title that is empty after cleaning
TEXT_LIMIT = 200  # characters of a cell that are used: a longer title is an attack or a mistake
_JOINER = "\u200d"
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_SKIN_TONES = "".join(map(chr, range(0x1F3FB, 0x1F400)))
ROUNDS = 3  # how often a text that is unsafe after normalization is sanitized again, before marks are removed


class DatasetTexts:
    """The texts of a dataset.

    Args:
        dataset: the whole dataset.

    Attributes:
        catalogue, log: the dataset's items and searches.
        titles: cleaned titles by catalogue position.
        queries: cleaned queries by query index.
        tie: [N] int64, the fixed order of items, see `data.tie_breaking.tie_rank`.
    """

    def __init__(self, dataset: "LLMFashionRecDataset") -> None:
        self.dataset, self.catalogue, self.log = dataset, dataset.catalogue, dataset.search_log
        # responses contain cleaned text, so the text models read cleaned text too
        self.titles = clean_titles(self.catalogue.titles)
        self.queries = [sanitize(query) for query in self.log.queries]
        self.tie = self.catalogue.tie_rank

    def attribute_text(self, position: int) -> str:
        """The start of each attribute of an item that the model reads, separated by spaces and without their names."""
        texts = (values[position] for values in self.catalogue.attributes.values())
        return " ".join(start_of(text) for text in texts if text)


def clean_titles(titles: Iterable[str], clean: Callable[[str], str] | None = None) -> list[str]:
    """Item titles as every part of the package reads them: one line, never empty.

    Args:
        titles: cells of the data.
        clean: makes a text safe; `sanitize` by default.

    >>> clean_titles(["Red\\nboots", " "])
    ['Red boots', 'untitled']
    """
    return [(clean or sanitize)(title) or UNTITLED for title in titles]


class TextSanitizer:
    """Makes text from the data safe for the prompts of one tokenizer, which may normalize it.

    Neither a text nor its normalized form contains "|", a line break or a special token. A text whose normalized form
    does is replaced by that form, sanitized. Marks that come back each time are removed.

    Args:
        special_tokens: strings that the tokenizer reads as special tokens.
        normalize: the tokenizer's normalizer; None if it has none.

    >>> TextSanitizer(["<eos>"], str.lower)("Boots <EOS>")
    'boots < eos>'
    """

    def __init__(self, special_tokens: Iterable[str] = (), normalize: Callable[[str], str] | None = None) -> None:
        self._normalize = normalize
        marks = {token for token in special_tokens if token.strip()}
        if normalize is not None:
            # what the template's own bar and line break become, such as U+2583 for a line break in CPM's tokenizer
            marks |= {_between(normalize, mark) for mark in ("|", "\n")} - {"", "|"}
            always = normalize("0")  # Llama's normalizer begins each text with a mark of its own
            marks = {mark for mark in marks if mark not in always}
        self._marks = tuple(sorted(marks))

    def __call__(self, text: str, joiner: str = " ", limit: int = TEXT_LIMIT) -> str:
        """The safe text; arguments as in `sanitize`. Empty if no form of it is safe."""
        line = sanitize(text, self._marks, joiner, limit)
        for attempt in range(2 * ROUNDS):
            seen = self.normalized(line)
            if self._is_safe(seen):
                return line
            line = sanitize(seen if attempt < ROUNDS else self._without_marks(seen), self._marks, joiner, limit)
        return ""

    def normalized(self, text: str) -> str:
        """A text as the tokenizer splits it; texts with the same form have the same token ids."""
        return text if self._normalize is None else self._normalize(text)

    def _is_safe(self, seen: str) -> bool:
        if self._normalize is None:
            return True
        return "|" not in seen and seen.splitlines() in ([], [seen]) and not any(mark in seen for mark in self._marks)

    def _without_marks(self, seen: str) -> str:
        for mark in ("|", *self._marks):
            seen = seen.replace(mark, "")
        return "".join(seen.splitlines())


def _between(normalize: Callable[[str], str], mark: str) -> str:
    """What a mark becomes between other characters; empty for white space."""
    parts = normalize(f"0{mark}0").split("0")
    return parts[1].strip() if len(parts) == 3 else ""


def is_long(text: str) -> bool:
    """Whether `sanitize` leaves out the end of a text."""
    return len(text) > TEXT_LIMIT and len(" ".join(text.split())) > TEXT_LIMIT


def item_texts(titles: Sequence[str], attributes: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    """Each item's title and the start of its attributes.

    Args:
        titles: by catalogue position.
        attributes: for each attribute name, texts by catalogue position.
        names: the attributes to use.
    """
    rows = [attributes[name] for name in names]
    return [" ".join([title, *(start_of(row[i]) for row in rows if row[i])]) for i, title in enumerate(titles)]


def start_of(text: str) -> str:
    """The part of a cell that the package reads: its first TEXT_LIMIT characters, or all of it.

    >>> start_of("red boots"), len(start_of("soft  wool " * 20_000))
    ('red boots', 199)
    """
    return " ".join(text.split())[:TEXT_LIMIT].rstrip() if is_long(text) else text


def character_end(text: str, end: int) -> int:
    """The last position up to `end` that does not divide a character with its marks, joined emoji or a flag.

    >>> character_end("ab", 1), character_end("e\u0301", 1), character_end("x\U0001f1eb\U0001f1f7", 2)
    (1, 0, 1)
    """
    while 0 < end < len(text) and _is_joined(text, end):
        end -= 1
    return end


def _is_joined(text: str, at: int) -> bool:
    """Whether the character at a position belongs to the one before it."""
    char = text[at]
    if unicodedata.category(char)[0] == "M" or _JOINER in (char, text[at - 1]):
        return True
    if char in _FLAG_LETTERS:
        before = len(text[:at]) - len(text[:at].rstrip(_FLAG_LETTERS))
        return before % 2 == 1
    return char in _SKIN_TONES or "\u1160" <= char <= "\u11ff"  # vowels and final consonants of Hangul


def sanitize(text: str, special_tokens: Iterable[str] = (), joiner: str = " ", limit: int = TEXT_LIMIT) -> str:
    """Makes text from the data safe for a prompt: one line without control characters, "|" and special tokens.

    Args:
        text: a cell of the data.
        special_tokens: strings that the tokenizer would read as special tokens; they are split.
        joiner: replaces white space and splits special tokens; "_" for IDs.
        limit: maximum number of characters.

    >>> sanitize("Red|boots\\n<eos> new", special_tokens=["<eos>"])
    'Red/boots < eos> new'
    """
    line = joiner.join(text.split())[:limit]
    if not line.isprintable():  # the loop is slow, and a printable text has no character of these categories
        line = "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cs"))
    line = line.replace("|", "/")
    for token in filter(str.strip, special_tokens):
        if token not in line:
            continue
        apart = token[0] + joiner + token[1:]
        broken = "" if len(token) == 1 or token in apart else apart
        while token in line:
            line = line.replace(token, broken)
    return joiner.join(line.split())
