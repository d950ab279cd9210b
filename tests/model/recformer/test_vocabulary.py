import pytest

from recbole_llmfashion.errors import UserError
from recbole_llmfashion.model.recformer.vocabulary import Vocabulary
from tests.helpers.recformer import MASK


def test_train_save_and_load(tmp_path):
    made = Vocabulary.train(["red boots", "red sandals", "title", "red boots"] * 4, 300)
    assert (made.pad_id, made.bos_id, made.mask_id) == (0, len(made) - 2, len(made) - 1)
    made.save(tmp_path)
    loaded = Vocabulary.load(str(tmp_path))
    assert loaded(["red boots", ""]) == made(["red boots", ""]) and loaded([]) == []
    first, *rest = loaded(["red boots"])[0]
    assert not loaded.starts_word()[first] and loaded.starts_word()[rest[0]]  # only a space starts a word
    assert set(loaded.special_tokens) == {"<pad>", "<eos>", "<s>", "<mask>"} and MASK
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no tokenizer"):
        Vocabulary.load(str(tmp_path / "none"))
