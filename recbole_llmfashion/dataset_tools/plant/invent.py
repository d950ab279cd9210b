"""Invented words, product ids and products, unlike anything that a catalogue has."""

import random
from collections.abc import Collection

CONSONANTS, VOWELS = "bdfgklmnprtvz", "aeiou"
WORDS = 3  # of a query and of a title
SYLLABLES = 3  # of a word


class Inventor:
    """Draws texts that are not in use, none of them twice.

    Args:
        draw: random numbers.
        words: lower-case words that are in use.
        ids: item ids that are in use.
    """

    def __init__(self, draw: random.Random, words: Collection[str], ids: Collection[str]) -> None:
        self._draw, self._words, self._ids = draw, set(words), set(ids)
        lengths = [len(name) for name in ids]
        self._length = max(lengths, default=6)

    def words(self) -> str:
        """Words of six letters, which no other text has."""
        return " ".join(self._word() for _ in range(WORDS))

    def _word(self) -> str:
        while True:
            pairs = [self._draw.choice(CONSONANTS) + self._draw.choice(VOWELS) for _ in range(SYLLABLES)]
            word = "".join(pairs)
            if word not in self._words:
                self._words.add(word)
                return word

    def item_id(self) -> str:
        """A number with as many digits as the longest id has characters, or more where those are used up."""
        for attempt in range(10_000):
            digits = self._length + attempt // 100
            name = str(self._draw.randrange(10 ** (digits - 1), 10**digits))
            if name not in self._ids:
                self._ids.add(name)
                return name
        raise ValueError("no free item id was found")
