"""Cells: what is read, and what is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgrec.data.cells.lists import split_values
from kgrec.data.cells.properties import parse_property
from kgrec.data.cells.times import parse_time
from kgrec.data.cells.values import CellError, parse_id, parse_number, parse_text
from kgrec.data.looks import value_type


@pytest.mark.parametrize("value", [None, "", "  ", "NULL", "nan", float("nan"), "None", "\\N"])
def test_a_missing_key_is_refused(value: Any) -> None:
    with pytest.raises(CellError, match="missing"):
        parse_id(value, "item_id")


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (7.0, "7"), (" a b ", "a b"), ("07", "07")])
def test_ids_are_strings(value: Any, text: str) -> None:
    assert parse_id(value, "item_id") == text


@pytest.mark.parametrize("value", ["x" * 513, "a\0b", "\udc80", "two\nlines"])
def test_an_id_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(CellError):
        parse_id(value, "item_id")


@pytest.mark.parametrize("value", [True, {"a": 1}, ["a"], ("a",), b"\xff"])
def test_an_id_that_is_no_name_or_number_is_refused(value: Any) -> None:
    with pytest.raises(CellError, match="item_id"):
        parse_id(value, "item_id")


def test_bytes_are_text_in_utf8() -> None:
    assert parse_id(b"42", "item_id") == "42"
    assert parse_text("Amélie".encode(), "title") == "Amélie"
    with pytest.raises(CellError, match="not UTF-8"):
        parse_text(b"\xff", "title")


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_are_read_back_to_the_last_digit(number: int) -> None:
    assert parse_property(str(number), "n", "integer") == number
    assert parse_property(number, "n", "integer") == number


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, str(2**63), "9" * 400, "1e30"])
def test_a_whole_number_that_no_database_holds_is_refused(value: Any) -> None:
    with pytest.raises(CellError, match="n is"):
        parse_property(value, "n", "integer")


def test_long_digits_are_a_code_not_a_number() -> None:
    assert value_type(["9007199254740993"]) == value_type([9007199254740993]) == "string"
    assert value_type(["1999", "2001"]) == value_type([123_456_789_012_345]) == "integer"
    assert value_type(["1e20"]) == "float"


@pytest.mark.parametrize("value", ["abc", "NaN", "inf", "1,5", [1], float("nan"), "1e999"])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(CellError, match="rating is not a"):
        parse_number(value, "rating")


def test_an_integer_beyond_every_float_is_refused() -> None:
    with pytest.raises(CellError, match="finite"):
        parse_number(10**400, "rating")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_back(number: float) -> None:
    assert parse_number(repr(number), "x") == number
    assert parse_number(number, "x") == number


@pytest.mark.parametrize(
    "value",
    [
        "881250949",
        881250949,
        881250949.0,
        "881250949000",
        881250949_000_000,
        881250949_000_000_000,
        "1997-12-04T15:55:49Z",
        "1997-12-04 15:55:49",
        "1997-12-04T16:55:49+01:00",
        datetime(1997, 12, 4, 15, 55, 49, tzinfo=UTC),
        datetime(1997, 12, 4, 15, 55, 49),
    ],
)
def test_every_way_to_say_a_time_is_the_same_time(value: Any) -> None:
    assert parse_time(value, "at") == 881_250_949_000


def test_a_day_is_its_beginning() -> None:
    assert parse_time(date(1997, 12, 4), "at") == parse_time("1997-12-04", "at")


@pytest.mark.parametrize("value", [None, "", 0, "0"])
def test_an_unknown_time_is_zero(value: Any) -> None:
    assert parse_time(value, "at") == 0


@pytest.mark.parametrize("value", ["-5", "99999999999", "soon", "nan", 1e30, "2999-01-01"])
def test_an_absurd_time_is_refused(value: Any) -> None:
    with pytest.raises(CellError, match="at"):
        parse_time(value, "at")


def test_a_time_may_lie_as_far_ahead_as_clocks_differ_and_no_further() -> None:
    now = datetime.now(UTC)
    assert parse_time(now + timedelta(minutes=1), "at")
    for ahead in (timedelta(minutes=10), timedelta(hours=20)):
        with pytest.raises(CellError, match="future"):
            parse_time((now + ahead).isoformat(), "at")


def test_properties_have_the_type_of_the_vocabulary() -> None:
    assert parse_property("1999", "year", "integer") == 1999
    assert parse_property("1999.0", "year", "integer") == 1999
    assert parse_property("a|b", "aliases", "strings") == ("a", "b")
    assert parse_property("", "year", "integer") is None
    with pytest.raises(CellError, match="whole number"):
        parse_property("1999.5", "year", "integer")


def test_values_are_split_tidied_and_distinct() -> None:
    assert split_values(" Drama | War|Drama||", "|", "genres") == ["Drama", "War"]
    assert split_values(["Drama", None, "War"], "|", "genres") == ["Drama", "War"]
    assert split_values("Sci-Fi, and more", None, "genres") == ["Sci-Fi, and more"]
    assert split_values(None, "|", "genres") == []


@pytest.mark.parametrize("parse", [parse_text, lambda v, r: split_values(v, "|", r)])
@pytest.mark.parametrize("value", ["half \ud800 character", "a\0b"])
def test_text_that_no_database_takes_is_refused(
    parse: Callable[[Any, str], Any], value: str
) -> None:
    with pytest.raises(CellError):
        parse(value, "title")
