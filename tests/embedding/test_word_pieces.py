import subprocess
import sys
from pathlib import Path

import pytest
import torch

from recbole_llmfashion.embedding.word_pieces import TextTokenizer

COLORS, KINDS = ("black", "white", "red", "navy"), ("leather boots", "canvas sneaker", "ankle strap sandals", "loafer")
TEXTS = [f"Women's {color} {kind} size {size}" for color in COLORS for kind in KINDS for size in (6, 7, 8)]


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer.train(TEXTS, vocab_size=200)


def test_order_of_the_texts_does_not_matter(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    # in another process too: a vocabulary that depends on a randomly seeded hash map differs there
    script = (
        "import sys, pathlib\n"
        "from recbole_llmfashion.embedding.word_pieces import TextTokenizer\n"
        "texts = pathlib.Path(sys.argv[1]).read_text().splitlines()\n"
        "TextTokenizer.train(reversed(texts), 200).save(pathlib.Path(sys.argv[2]))\n"
    )
    (tmp_path / "texts").write_text("\n".join(TEXTS))
    subprocess.run([sys.executable, "-c", script, tmp_path / "texts", tmp_path / "other.json"], check=True)
    tokenizer.save(tmp_path / "own.json")
    assert (tmp_path / "own.json").read_bytes() == (tmp_path / "other.json").read_bytes()


def test_padding_and_cut(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode(["black loafer", "black", "red leather boots size 7"], max_length=4)
    assert ids.dtype == torch.int64
    assert ids.shape == (3, 4)
    assert (ids != 0).sum(dim=1).tolist() == [2, 1, 4]
    assert ids[0, 0] == ids[1, 0]
    assert tokenizer.encode(["black"], max_length=4).shape == (1, 1)
    assert tokenizer.encode([], max_length=4).shape == (0, 0)


def test_empty_and_unknown_texts_are_one_unknown_piece(tokenizer: TextTokenizer) -> None:
    assert tokenizer.encode(["", "  \t\n"], max_length=4).tolist() == [[1], [1]]
    # the mark of a word's beginning is known, the character is not
    assert tokenizer.encode(["靴"], max_length=4)[0, -1] == 1


def test_case_and_width_of_letters_make_no_difference(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode(["BLACK  Boots", "black boots", "ｂｌａｃｋ boots"], max_length=8)
    assert torch.equal(ids[0], ids[1])
    assert torch.equal(ids[0], ids[2])


def test_a_typo_shares_pieces(tokenizer: TextTokenizer) -> None:
    right, wrong = (set(row.tolist()) - {0} for row in tokenizer.encode(["sneaker", "sneeaker"], max_length=16))
    assert right != wrong
    assert len(wrong - {1}) > 0
    assert 1 not in wrong


def test_hostile_texts_have_pieces_within_the_vocabulary(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode(["x" * 100_000, "a\0b", "שלום", "👠👡", "[pad] [unk]"], max_length=24)
    assert ids.shape[1] <= 24
    assert ids.max() < tokenizer.size
    assert ((ids != 0).sum(dim=1) > 0).all()


def test_special_tokens_in_texts_are_ordinary_text(tokenizer: TextTokenizer) -> None:
    assert (tokenizer.encode(["black [pad] boots"], max_length=24)[0] != 0).all()


def test_vocabulary_size_with_many_scripts() -> None:
    many = "".join(chr(code) for code in range(0x4E00, 0x4E00 + 3000))
    tokenizer = TextTokenizer.train([*TEXTS, many], vocab_size=100)
    assert tokenizer.size <= 100
    assert 1 not in tokenizer.encode(["black boots"], max_length=24)


def test_save_and_load(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    tokenizer.save(tmp_path / "pieces.json")
    loaded = TextTokenizer.load(tmp_path / "pieces.json")
    assert loaded.size == tokenizer.size
    assert torch.equal(loaded.encode(TEXTS, 24), tokenizer.encode(TEXTS, 24))
