import numpy as np
import torch

from recbole_llmfashion.embedding.encode import encode_distinct


def test_encode_distinct():
    batches = []

    def embed(texts):
        batches.append(texts)
        return torch.tensor([[len(text), ord(text[0])] for text in texts], dtype=torch.float64)

    vectors = encode_distinct(["ccc", "a", "ccc", "bb", "a"], embed, 2, 2, False, "")
    assert batches == [["a", "bb"], ["ccc"]]
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[3, 99], [1, 97], [3, 99], [2, 98], [1, 97]]


def test_no_texts():
    assert encode_distinct([], lambda texts: torch.zeros(0, 3), 3, 2, False, "").shape == (0, 3)
