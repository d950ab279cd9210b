"""Error responses: body, headers, token check, size check."""

import json

import pytest

from recbole_llmfashion.serving.web.errors import (
    RequestError,
    busy,
    check_depth,
    check_size,
    check_token,
    failed,
    unavailable,
)


def test_body_is_one_line_of_ascii_json():
    assert RequestError(404, "no 'x'").body == b'{"error": "no \'x\'"}'
    assert RequestError(404, "\ud800é").body == b'{"error": "\\ud800\\u00e9"}'


def test_statuses_and_headers():
    assert [(error.status, error.headers) for error in (busy(), unavailable(), failed())] == [
        (429, {"Retry-After": "1"}),
        (503, {"Retry-After": "1"}),
        (500, {}),
    ]


@pytest.mark.parametrize(
    ("authorization", "token", "status"),
    [
        ("Bearer s3cret", None, 403),
        ("Bearer ", "", 403),
        (None, "s3cret", 401),
        ("", "s3cret", 401),
        ("s3cret", "s3cret", 401),
        ("Basic s3cret", "s3cret", 401),
        ("Bearer s3cre", "s3cret", 401),
        ("Bearer é", "s3cret", 401),
    ],
)
def test_rejected_tokens(authorization, token, status):
    with pytest.raises(RequestError) as error:
        check_token(authorization, token)
    assert error.value.status == status and "s3cret" not in str(error.value)


def test_accepted_tokens():
    check_token("Bearer s3cret", "s3cret")
    check_token("bearer  s3cret ", "s3cret")


def test_size():
    check_size("k", 10, 10)
    with pytest.raises(RequestError, match="k: 11 is above this service's limit of 10") as error:
        check_size("k", 11, 10)
    assert error.value.status == 422


def test_depth():
    for value in (
        [],
        [1, "x", None],
        json.loads("[" * 50 + "7" + "]" * 50),
        [json.loads('{"a": ' * 49 + "7" + "}" * 49)],
    ):
        check_depth("actions", value)
    for value in (json.loads("[" * 51 + "]" * 51), [{}, json.loads('{"a": ' * 50 + "7" + "}" * 50), 7]):
        with pytest.raises(RequestError, match="actions: nested too deeply; expected at most 50 levels") as error:
            check_depth("actions", value)
        assert error.value.status == 422
