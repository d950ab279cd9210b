"""The messages load nothing heavy, so that processes without a model can send them."""

import dataclasses
import pickle
import subprocess
import sys

import pytest

from recbole_llmfashion.serving.messages import BatchReply, Recommendation, RecommendRequest, RecommendResponse


def test_defaults_and_pickling():
    request = RecommendRequest([{"action": "click", "item_id": "a", "timestamp": 5}])
    assert (request.k, request.now, request.explain) == (10, None, False)
    line = Recommendation("a", "A", 2.0, "id")
    assert (line.prompt, line.response) == (None, None)
    reply = BatchReply(RecommendResponse([line], {"unknown_items": 1}), 4)
    assert pickle.loads(pickle.dumps((request, reply))) == (request, reply)
    with pytest.raises(dataclasses.FrozenInstanceError):
        line.score = 1.0


def test_imports_nothing_heavy():
    code = "import sys, recbole_llmfashion.serving.messages; print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"
