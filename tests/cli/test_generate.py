"""What the words of `generate` become; tests/serving/batch has what it does with them."""

import pytest

from recbole_llmfashion.errors import UserError
from tests.helpers.command_lines import generate_request


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split=test"], "Missing option '--run'"),
        (["--run=a", "--split=train"], "--split: expected one of test, valid"),
        (["--run=a", "--num_workers=-1"], "'--num_workers'.* found '-1'; see"),
        (["--run=a", "--shard_size=x"], "'--shard_size'.* found 'x'; see"),
        (["--run=a", "--gpus_per_worker=-1"], "'--gpus_per_worker'.* found '-1'; see"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(UserError, match=message):
        generate_request(words)


def test_words():
    request = generate_request(["--run=a", "--num_workers", "4", "--split", "valid", "--click_filter=none"])
    assert (request.workers, request.split, request.shard_size, request.gpus) == (4, "valid", 1024, None)
    assert request.overrides == {"click_filter": "none"}
