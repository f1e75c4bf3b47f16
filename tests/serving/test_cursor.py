"""Cursors come back as they went, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgrec.serving.cursor import decode, encode
from kgrec.serving.errors import InvalidRequestError

positions = st.lists(st.one_of(st.text(), st.integers()), min_size=1, max_size=4)


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
