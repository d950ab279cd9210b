"""Files of word pieces without the pieces of some texts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_llmfashion.embedding.word_pieces import TextTokenizer
from recbole_llmfashion.pipeline.export.word_pieces import keep_pieces

WORDS = st.text("abc", min_size=1, max_size=6)
TEXTS = st.lists(st.lists(WORDS, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(allowed=TEXTS, others=TEXTS)
def test_allowed_texts_keep_their_ids(allowed, others, tmp_path_factory):
    path = tmp_path_factory.mktemp("pieces") / "pieces.json"
    trained = TextTokenizer.train([*allowed, *others] * 2, 60)
    trained.save(path)
    taken = keep_pieces(path, allowed)
    kept = TextTokenizer.load(path)
    assert kept.size == trained.size and kept.encode(allowed, 30).equal(trained.encode(allowed, 30))
    assert int(kept.encode(others, 30).max()) < kept.size
    assert keep_pieces(path, allowed) == taken  # the names of those that are gone count again


def test_a_name_that_is_left_behind_is_nobodys_text(tmp_path):
    trained = TextTokenizer.train(["quitten", "quitten", "boots", "boots"], 60)
    trained.save(tmp_path / "pieces.json")
    assert keep_pieces(tmp_path / "pieces.json", ["boots"]) > 0
    text = (tmp_path / "pieces.json").read_text()
    assert "qui" not in text and "[unused" in text and "boots" in text
    kept = TextTokenizer.load(tmp_path / "pieces.json")
    number = next(int(part.split("]")[0]) for part in text.split("[unused")[1:])
    assert number not in kept.encode([f"[unused{number}]"], 30)[0].tolist()
