"""What an error tells a client, and what it keeps."""

from __future__ import annotations

import json

import pytest

from kgrec.errors import (
    GraphAuthError,
    GraphConstraintError,
    GraphError,
    GraphReadOnlyError,
    GraphUnavailableError,
    NotFoundError,
)
from kgrec.serving.problems import problem_response


@pytest.mark.parametrize(
    "kind",
    [GraphError, GraphAuthError, GraphConstraintError, GraphReadOnlyError, GraphUnavailableError],
)
def test_no_words_of_the_database_reach_a_client(kind: type[GraphError]) -> None:
    error = kind("failed (SECRET)", value="Node(SECRET)", remedy="Its log ends:\nSECRET")
    answer = problem_response(error, "/v1/users")
    assert answer.status_code == kind.status
    assert b"SECRET" not in bytes(answer.body)
    assert json.loads(bytes(answer.body))["what"]


def test_half_a_pair_is_shown_as_a_sign_in_its_place() -> None:
    answer = problem_response(NotFoundError("there is no such item", value="a\ud800"), "/v1/\ud800")
    told = json.loads(bytes(answer.body))
    assert (told["value"], told["instance"]) == ("a?", "/v1/?")
