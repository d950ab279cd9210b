"""Files of word pieces (embedding/word_pieces.py) without the pieces that no allowed text has.

A word that occurs twice in a training log may be one piece, so the file may hold a query of one user word for word.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer

PIECES = "pieces.json"


def keep_pieces(path: Path, texts: Iterable[str]) -> int:
    """Rewrites a file with the pieces that are part of a word of some texts; single characters stay.

    Every id stays: a piece that is taken out leaves a name behind that no text can have. A text of allowed words has
    the ids that it had, because each merge within an allowed word gives a part of that word.

    Args:
        path: as `TextTokenizer.save` writes it.
        texts: the allowed texts.

    Returns:
        number of pieces that were taken out.
    """
    tokenizer = Tokenizer.from_file(str(path))
    normalize, split = tokenizer.normalizer.normalize_str, tokenizer.pre_tokenizer.pre_tokenize_str
    words = {word for text in texts for word, _ in split(normalize(text))}
    allowed = "\n".join(sorted(words))
    state = json.loads(tokenizer.to_str())
    special = {token["content"] for token in state["added_tokens"]}
    vocabulary: dict[str, int] = state["model"]["vocab"]
    rare = {piece for piece in vocabulary if len(piece) > 1 and piece not in special and piece not in allowed}
    # the pre-tokenizer splits at brackets, so no text has such a word
    state["model"]["vocab"] = {f"[unused{i}]" if piece in rare else piece: i for piece, i in vocabulary.items()}
    state["model"]["merges"] = [pair for pair in state["model"]["merges"] if "".join(pair) not in rare]
    path.write_text(Tokenizer.from_str(json.dumps(state)).to_str(), encoding="utf-8")
    return len(rare)
