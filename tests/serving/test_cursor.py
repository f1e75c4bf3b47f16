"""Cursors come back as they went, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import item_id, user_id
from servers import get

from kgrec.serving.parameters import decode, encode
from kgrec.serving.problems import InvalidRequestError

positions = st.lists(st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=4)


@given(positions)
def test_a_position_comes_back(position: list[str | int]) -> None:
    assert decode(encode(position), position) == position
    assert decode(None, position) == position


@given(st.text(max_size=30), st.sampled_from([[""], [0], ["", 0]]))
def test_other_text_is_refused_or_is_a_position(text: str, first: list[str | int]) -> None:
    try:
        position = decode(text, first)
    except InvalidRequestError:
        return
    assert [type(part) for part in position] == [type(part) for part in first]


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="not one of this list"):
        decode(encode(["u1"]), [0])


@pytest.mark.parametrize("part", [2**63, -(2**63) - 1, "\ud800"])
def test_what_no_database_holds_is_no_position(part: str | int) -> None:
    forged = base64.urlsafe_b64encode(json.dumps([part]).encode()).decode()
    with pytest.raises(InvalidRequestError):
        decode(forged, ["" if isinstance(part, str) else 0])


def test_lists_within_lists_are_no_position() -> None:
    with pytest.raises(InvalidRequestError):
        decode(base64.b64encode(b"[" * 200_000).decode(), [0])


def test_similar_items_have_pages_that_repeat_nothing(api: httpx.Client) -> None:
    path = f"/v1/items/{item_id(8)}/similar"
    whole = get(api, path, k=30, filter="year>=1965")["items"]
    paged, cursor = [], None
    for _ in range(3):
        more = {"cursor": cursor} if cursor else {"k": 10, "filter": "year>=1965"}
        page = get(api, path, **more)
        paged += page["items"]
        cursor = page["cursor"]
    names = ("item_id", "score", "rank")
    assert [[i[n] for n in names] for i in paged] == [[i[n] for n in names] for i in whole]
    refused = get(api, f"/v1/items/{item_id(9)}/similar", 400, cursor=cursor)
    assert "another list" in refused["what"]
    get(api, path, 400, cursor="nonsense")
    of_user = get(api, f"/v1/users/{user_id(1)}/recommendations", k=2)["cursor"]
    get(api, path, 400, cursor=of_user)
