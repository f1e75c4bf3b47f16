"""Cells as people have them: lists as text, markup, words for nothing, numbers, times."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kgrec.data.cells.lists import cut, entries, one_text
from kgrec.data.cells.markup import one_line, plain_text
from kgrec.data.cells.numbers import decimal_mark, read_number
from kgrec.data.cells.objects import Entry, Lookup
from kgrec.data.cells.times import (
    DAY_FIRST,
    DAYS,
    DIGITS,
    MONTH_FIRST,
    parse_moment,
    time_form,
    year_of,
)
from kgrec.data.cells.values import CellError, is_nothing, null_words, parse_id
from kgrec.data.looks import is_time

LISTS = {
    '[{"id": 4, "name": "Jazz"}, {"id": 9, "name": "Folk"}]': ["Jazz", "Folk"],
    "[{'id': 4, 'name': \"Rock 'n' Roll\"}]": ["Rock 'n' Roll"],
    "['Jazz', 'Folk']": ["Jazz", "Folk"],
    "{'Jazz', 'Folk'}": ["Jazz", "Folk"],
    "('Jazz', 'Folk')": ["Jazz", "Folk"],
    "frozenset({'Jazz'})": ["Jazz"],
    "array(['Jazz', 'Folk'], dtype=object)": ["Jazz", "Folk"],
    "['Jazz' 'Folk']": ["Jazz", "Folk"],
    "[u'Jazz', None, u'Folk', nan]": ["Jazz", "Folk"],
    '{Jazz,"Hip Hop",NULL}': ["Jazz", "Hip Hop"],
    "{{Jazz,Folk},{Blues,Soul}}": ["Jazz", "Folk", "Blues", "Soul"],
    'c("Jazz", "Folk")': ["Jazz", "Folk"],
    '[["Jazz", ["Folk"]], []]': ["Jazz", "Folk"],
    '{"/m/03_d0": "Jazz", "/m/02w4v": "Folk"}': ["Jazz", "Folk"],
    "{'Jazz': 542, 'Folk': 0}": ["Jazz"],
    '{"genre": [{"title": "Jazz"}]}': ["Jazz"],
    "{1: 'Jazz', 2: 'Folk'}": ["Jazz", "Folk"],
    "[Jazz, Hip Hop]": ["Jazz", "Hip Hop"],
    '["She said \\"yes\\"", "a\\u00e9"]': ['She said "yes"', "aé"],
    '"[\\"Jazz\\", \\"Folk\\"]"': ["Jazz", "Folk"],
    '"Jazz","Hip, Hop"': ["Jazz", "Hip, Hop"],
    "'Jazz' | 'Folk'": ["Jazz", "Folk"],
    "<jazz><hip-hop>": ["jazz", "hip-hop"],
    "[]": [],
    "[None]": [],
    "[1, 2.0]": ["1", "2"],
    '{"en": "Jazz", "fr": "Le jazz"}': ["Jazz"],
    "{'fr': 'Le jazz', 'de-DE': 'Jazz'}": ["Le jazz"],
    '{"en": ["Jazz", "Folk"], "fr": ["Le jazz"]}': ["Jazz", "Folk"],
    '[{"name": {"en": "Jazz", "fr": "Le jazz"}}, {"name": {"en": "Folk"}}]': ["Jazz", "Folk"],
    '[{"lang": "fr", "value": "Le jazz"}, {"lang": "en", "value": "Jazz"}]': ["Jazz"],
    '[{"@language": "en", "@value": "Jazz"}, {"@language": "und", "@value": "J"}]': ["Jazz"],
    '[{"lang": "en", "name": "Jazz"}, {"lang": "en", "name": "Folk"}]': ["Jazz", "Folk"],
    '[{"id": "1", "description": "Jazz"}]': ["Jazz"],
    '[{"display_name": "Ann Lee", "url": "/a"}, {"display_name": "Bo", "url": "/b"}]': (
        ["Ann Lee", "Bo"]
    ),
    '[{"given": "Ann", "family": "Lee", "affiliation": []}, {"family": "Roe"}]': ["Ann Lee", "Roe"],
    "[{'genreName': 'Jazz', 'weight': 3}]": ["Jazz"],
    '["Music >> Jazz >> Free Jazz"]': ["Music", "Jazz", "Free Jazz"],
    "folk rock=12": ["folk rock"],
    "{'Jazz': '0.9', 'Folk': '0.1'}": ["Jazz", "Folk"],
    '<genre name="Jazz"/><genre name="Folk"/>': ["Jazz", "Folk"],
    '"Jazz"@en': ["Jazz"],
    '"Jazz"^^xsd:string': ["Jazz"],
    '"""Jazz"", ""Hip, Hop"""': ["Jazz", "Hip, Hop"],
    "E=mc2": ["E=mc2"],
    "#jazz #hip_hop": ["jazz", "hip_hop"],
    "#jazz#folk": ["jazz", "folk"],
    "#jazz, #folk": ["jazz", "folk"],
    '["#jazz", "#1 Fan"]': ["jazz", "#1 Fan"],
    "#jazz": ["jazz"],
    "C#": ["C#"],
    "Jazz": ["Jazz"],
    "Jazz (live)": ["Jazz (live)"],
}


@pytest.mark.parametrize("text", list(LISTS))
def test_lists_written_as_text_are_lists(text: str) -> None:
    assert [one.name for one in entries(text, "genres", is_list=True)] == LISTS[text]


def test_objects_of_mongodb_are_what_they_stand_for() -> None:
    assert parse_id({"$oid": "5f1e"}, "item_id") == "5f1e"
    assert parse_id("ObjectId('5f1e5f1e5f1e5f1e5f1e5f1e')", "item_id") == "5f1e" * 6
    assert parse_id("\u200b12\ufeff", "item_id") == "12"
    assert parse_id('="0441013597"', "item_id") == "0441013597"
    assert parse_moment({"$date": {"$numberLong": "1451520000000"}}, "at") == 1451520000000
    assert parse_moment({"$date": "2015-12-31T00:00:00Z"}, "at") == 1451520000000
    assert read_number({"$numberDecimal": "12.50"}, "price") == 12.5
    assert entries([{"$oid": "5f1e"}, {"name": "Jazz"}], "genres") == [Entry("5f1e"), Entry("Jazz")]
    with pytest.raises(CellError, match="not one name"):
        parse_id({"$oid": "a", "other": "b"}, "item_id")


@pytest.mark.parametrize(
    "text",
    [
        *("2015年12月31日", "2015년 12월 31일", "/Date(1451520000000)/", "'2015-12-31'"),
        *("\\/Date(1451520000000+0100)\\/", '"Dec 31, 2015"'),
    ],
)
def test_dates_of_other_programs_and_scripts_are_read(text: str) -> None:
    assert parse_moment(text, "at") == 1451520000000


def test_other_writings_of_numbers() -> None:
    cells = {"12.-": 12, "12,–": 12, "~12": 12, "ca. 12": 12, "(5.00)": -5, "($1,200)": -1200}
    cells |= {"Free": 0, "Free to Play": 0, "gratis": 0}
    for text, number in cells.items():
        assert read_number(text, "price") == number, text
    for text in ("freedom", "(five)", "12.-.", "()"):
        with pytest.raises(CellError):
            read_number(text, "price")


def test_a_text_in_several_languages_is_that_of_one() -> None:
    assert one_text('{"en": "Heat", "de": "Hitze"}', "title") == "Heat"
    assert one_text({"de": "Hitze", "fr": ""}, "title") == "Hitze"
    assert one_text({"rendered": "Heat", "protected": False}, "title") == "Heat"
    assert parse_id({"id": 12.0, "name": "Ann"}, "user_id") == "12"
    assert parse_id({"#text": "12", "isPermaLink": "false"}, "item_id") == "12"
    for text in ("[REC]", '{"title": "Heat"}', "{broken", '{"en": ["Heat"]}'):
        assert one_text(text, "title") == text


def test_brackets_alone_make_no_list() -> None:
    assert entries("[REC]", "title") == [Entry("[REC]")]
    assert entries("{drama,crime}", "genres") == [Entry("{drama,crime}")]


def test_values_that_are_lists_already_are_read_the_same() -> None:
    people = [{"job": "Director", "name": "Ann", "id": 3.0}, {"job": "Writer", "name": "Bob"}]
    assert entries(people, "crew") == [Entry("Ann"), Entry("Bob")]
    lookup = Lookup(id="id", where={"job": "Director"})
    assert entries(people, "crew", lookup=lookup) == [Entry("Ann", "3")]
    assert entries(repr(people), "crew", lookup=lookup) == [Entry("Ann", "3")]


@pytest.mark.parametrize(
    "text",
    [
        *('[{"id": 4, "na', "['Jazz', 'Fo", '[{"id": 4}]', "[" * 50_000 + '"'),
        *('[{"role": "Jazz", "url": "/a"}]', '{"lat": 48.1, "lon": 2.3}', '{"ratingValue": 4.5}'),
    ],
)
def test_a_list_of_no_use_is_refused(text: str) -> None:
    with pytest.raises(CellError, match=r"genres|nested"):
        entries(text, "genres", is_list=True)


@pytest.mark.parametrize("part", ["['a", '["', "[{'a': ", '{"a":', "a'b", '"a""'])
def test_hostile_lists_take_no_longer_than_their_length(part: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(CellError):
        entries("['" + part * 30_000, "genres")
    assert time.perf_counter() - begun < 5


def test_commas_inside_names_do_not_cut() -> None:
    assert cut("Robert Downey, Jr., Ann Lee", ",") == ["Robert Downey, Jr.", " Ann Lee"]
    assert cut("Ann Lee, Bob Roe, and Cy Poe", ",") == ["Ann Lee", " Bob Roe", "Cy Poe"]
    assert cut("Henry Gates, III", ",") == ["Henry Gates, III"]


MARKUP = {
    "<p>By <b>Ann Lee</b> &amp; Bob.<br />In <a href='http://x'>Rome</a>.</p>": (
        "By Ann Lee & Bob.\nIn Rome."
    ),
    "<p>One</p><p>Two</p>": "One\n\nTwo",
    "<ul><li>One</li><li>Two</li></ul>": "- One\n- Two",
    "&lt;p&gt;Twice &amp;amp; escaped&lt;/p&gt;": "Twice & escaped",
    "[b]Bold[/b] and [url=http://x]linked[/url]": "Bold and linked",
    "<script>steal()</script>Text<!-- note --><style>p {}</style>": "Text",
    "<table><tr><td>a</td><td>b</td></tr></table>": "a b",
    "Les Mis&eacute;rables &#169;": "Les Misérables ©",
    "a < b & c > d": "a < b & c > d",
    "I <3 you, x <unknown> y": "I <3 you, x <unknown> y",
    "if x<b and c>d": "if x<b and c>d",
    "[REC] at AT&T": "[REC] at AT&T",
    "<![CDATA[<p>Ann &amp; Bob</p>]]>": "Ann & Bob",
    "An array[0][1]]> as it is": "An array[0][1]]> as it is",
}


@pytest.mark.parametrize("text", list(MARKUP))
def test_markup_becomes_text_with_its_structure(text: str) -> None:
    assert plain_text(text) == MARKUP[text]
    assert plain_text(plain_text(text)) == MARKUP[text]


def test_names_stay_on_one_line() -> None:
    assert one_line("<i>Tom</i><br>&amp; Jerry") == "Tom & Jerry"


@pytest.mark.parametrize(
    "part", ["<!--", "<a ", '<b "', "<b '", "<script>", "</b", "<b x=", "&#", "<b>"]
)
def test_hostile_markup_takes_no_longer_than_its_length(part: str) -> None:
    begun = time.perf_counter()
    plain_text("<p>" + part * 50_000)
    assert time.perf_counter() - begun < 5


def test_words_for_nothing_are_nothing() -> None:
    words = null_words(None)
    for text in ("N/A", "nan", "None", " - ", "?", "[]", "(no genres listed)", "(No tags given)"):
        assert is_nothing(text, words), text
    for text in ("Not specified", "NaT", "...", "…", "no information", "none given"):
        assert is_nothing(text, words), text
    for text in (".", "---", "____", "**"):
        assert is_nothing(text, words), text
    for text in (
        "Nan Goldin",
        "!!!",
        "None But the Brave",
        "",
        None,
        0,
        "(no country)",
        "Nat Cole",
    ):
        assert not is_nothing(text, words), text
    assert not is_nothing("None", null_words(()))
    assert is_nothing("k.A.", null_words(("k.a.",)))


NUMBERS = {
    "$1,299.00": 1299.0,
    "1.299,00 €": 1299.0,
    "USD 12.5": 12.5,
    "£3,000": 3000.0,
    "12,5": 12.5,
    "1 234 567": 1_234_567.0,
    "1'234.5": 1234.5,
    "12,34,567": 1_234_567.0,
    "1,234,567.89": 1_234_567.89,
    "85 %": 85.0,
    "10,000+": 10_000.0,
    "$380M": 380e6,
    "3.5k": 3500.0,
    "-$4.50": -4.5,
    "4.0 out of 5 stars": 4.0,
    "from 12": 12.0,
    "From $12.00": 12.0,
    "ab 12,50 €": 12.5,
    "à partir de 12 €": 12.0,
    "starting at: $9.99": 9.99,
    "$10 - $20": 10.0,
    "10–20 €": 10.0,
    "$1,000 to $2,000": 1000.0,
    "Free!": 0.0,
    "免费": 0.0,
    "1,200円": 1200.0,
    "NT$1,200": 1200.0,
    "￥１２００": 1200.0,
    "12€50": 12.5,
    "1.299,-": 1299.0,
    "Rs. 1,299/-": 1299.0,
    "99¢": 0.99,
    "99 cents": 0.99,
    "$12/mo": 12.0,
    "12 EUR per month": 12.0,
    "9.99*": 9.99,
    "½": 0.5,
    "1½": 1.5,
    "-2 ¾": -2.75,
    "1 1/2": 1.5,
    "$80K-$120K (Glassdoor est.)": 80_000.0,
    "£45,000 per annum": 45_000.0,
    "€ 38.000,- brutto": 38_000.0,
    '="12.50"': 12.5,
}


@pytest.mark.parametrize("text", list(NUMBERS))
def test_numbers_are_read_as_people_write_them(text: str) -> None:
    assert read_number(text, "price") == pytest.approx(NUMBERS[text])


@pytest.mark.parametrize(
    ("role", "text", "number"),
    [
        *(
            ("minutes", text, 80)
            for text in ("PT1H20M", "P0DT80M", "1 hr 20 min", "1h20", "80 min.")
        ),
        *(
            ("hours", text, 1.5)
            for text in ("PT90M", "90 mins", "1.5 total hours", "1 Std. 30 Min.")
        ),
        *(("lectures", "1,204 lectures", 1204), ("pages", "320 pp.", 320), ("value", "4 stars", 4)),
        *(("minutes", "80 min.", 80), ("hours", "1 Std. 30 Min.", 1.5)),
        *(("latitude", "48°51'36\"N", 48.86), ("longitude", "33.5 W", -33.5)),
        *(("servings", "Serves 4", 4), ("calories", "240 kcal", 240)),
    ],
)
def test_numbers_in_the_unit_of_their_property(role: str, text: str, number: float) -> None:
    assert read_number(text, role) == pytest.approx(number)


@pytest.mark.parametrize(
    ("role", "text"),
    [("minutes", "12 pages"), ("pages", "12 hours"), ("servings", "4-6"), ("minutes", "PT")],
)
def test_numbers_in_other_units_are_refused(role: str, text: str) -> None:
    with pytest.raises(CellError):
        read_number(text, role)


def test_the_column_decides_what_one_mark_is() -> None:
    assert decimal_mark(["3,5", "4,0", "1.234"]) == ","
    assert decimal_mark(["1,234.5", "2,000"]) == "."
    assert read_number("1.234", "price", decimal=",") == 1234
    assert read_number("1.234", "price") == 1.234
    assert read_number("1,234", "price") == 1234
    assert read_number("1,234", "price", decimal=",") == 1.234


@pytest.mark.parametrize(
    "text",
    [
        *("12-34", "+1 555 12", "1.2.3.4", "three", "12 apples", "1,2,3", "10-20", "$20 - $10"),
        *("under $10", "< 10", "was $12 now $9", "sold out", "3/4", "from", "7½½"),
    ],
)
def test_other_words_are_no_numbers(text: str) -> None:
    with pytest.raises(CellError):
        read_number(text, "price")


def moment(text: object, form: str | None = None) -> datetime:
    return datetime.fromtimestamp(parse_moment(text, "at", form) / 1000, UTC)


DATES = {
    "11/13/2019 9:05:58 AM": datetime(2019, 11, 13, 9, 5, 58, tzinfo=UTC),
    "11/13/2019 12:05 pm": datetime(2019, 11, 13, 12, 5, tzinfo=UTC),
    "Dec 31, 2015": datetime(2015, 12, 31, tzinfo=UTC),
    "December 31st, 2015 at 10:30": datetime(2015, 12, 31, 10, 30, tzinfo=UTC),
    "31 décembre 2015": datetime(2015, 12, 31, tzinfo=UTC),
    "3. März 2015": datetime(2015, 3, 3, tzinfo=UTC),
    "31.12.2015": datetime(2015, 12, 31, tzinfo=UTC),
    "5.6.2015": datetime(2015, 6, 5, tzinfo=UTC),
    "09 13, 2009": datetime(2009, 9, 13, tzinfo=UTC),
    "2015/12/31 23:59": datetime(2015, 12, 31, 23, 59, tzinfo=UTC),
    "31-Dec-15": datetime(2015, 12, 31, tzinfo=UTC),
    "Thu, 16 Jul 2020 09:50:44 GMT": datetime(2020, 7, 16, 9, 50, 44, tzinfo=UTC),
    "Thu Jul 16 09:50:44 +0200 2020": datetime(2020, 7, 16, 7, 50, 44, tzinfo=UTC),
    "2019-10-01 00:00:07 UTC": datetime(2019, 10, 1, 0, 0, 7, tzinfo=UTC),
    "2019-10-01T02:00:00.250+02:00": datetime(2019, 10, 1, 0, 0, 0, 250_000, tzinfo=UTC),
    "2019-10-01 10:00:00 EST": datetime(2019, 10, 1, 15, tzinfo=UTC),
    "Tue, 1 Oct 2019 10:00:00 PDT": datetime(2019, 10, 1, 17, tzinfo=UTC),
    "2019-10-01T10:00:00+02:00[Europe/Berlin]": datetime(2019, 10, 1, 8, tzinfo=UTC),
    "Tue Oct 01 2019 10:00:00 GMT+0200 (CEST)": datetime(2019, 10, 1, 8, tzinfo=UTC),
    "2019-10-01 10:00:00 +0200 CEST": datetime(2019, 10, 1, 8, tzinfo=UTC),
    "31 декабря 2015 г.": datetime(2015, 12, 31, tzinfo=UTC),
    "1er janvier 2016": datetime(2016, 1, 1, tzinfo=UTC),
    "31 de dezembro de 2015": datetime(2015, 12, 31, tzinfo=UTC),
    "31 maart 2015": datetime(2015, 3, 31, tzinfo=UTC),
    "15 grudnia 2015": datetime(2015, 12, 15, tzinfo=UTC),
    "31 Aralık 2015": datetime(2015, 12, 31, tzinfo=UTC),
    "May 2016": datetime(2016, 5, 1, tzinfo=UTC),
    "2016-05": datetime(2016, 5, 1, tzinfo=UTC),
    "2016-060": datetime(2016, 2, 29, tzinfo=UTC),
    "2015/365": datetime(2015, 12, 31, tzinfo=UTC),
    "2016-060T12:30:00Z": datetime(2016, 2, 29, 12, 30, tzinfo=UTC),
}


@pytest.mark.parametrize("text", list(DATES))
def test_dates_are_read_in_every_usual_form(text: str) -> None:
    assert moment(text) == DATES[text]


def test_a_column_decides_which_part_is_the_day() -> None:
    assert time_form(["05/06/2019", "25/06/2019"]) == DAY_FIRST
    assert time_form(["05/06/2019", "06/25/2019"]) == MONTH_FIRST
    assert time_form(["05/06/2019"]) is None
    assert moment("05/06/2019", DAY_FIRST) == datetime(2019, 6, 5, tzinfo=UTC)
    assert moment("05/06/2019") == datetime(2019, 5, 6, tzinfo=UTC)


def test_digits_that_are_dates_are_dates() -> None:
    assert time_form(["20230115", "20221231"]) == time_form(["1993", 2001]) == DIGITS
    assert time_form(["20230115", "881250949", "881250950"]) is None
    assert moment("20230115", DIGITS) == datetime(2023, 1, 15, tzinfo=UTC)
    assert time_form(["1993001", "1993366", "1994112"]) is None
    assert time_form(["1993001", "1993365", "1994112"]) == DIGITS
    assert moment("2016060", DIGITS) == datetime(2016, 2, 29, tzinfo=UTC)
    assert moment(1993, DIGITS) == datetime(1993, 1, 1, tzinfo=UTC)
    assert moment("20230115093000", DIGITS) == datetime(2023, 1, 15, 9, 30, tzinfo=UTC)


def test_dates_of_a_spreadsheet_are_dates() -> None:
    assert time_form(["43831", "43832.5", 44000]) == DAYS
    assert moment("43831.5", DAYS) == datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert time_form(["1", "43831", "99999"]) is None
    assert not is_time(["45000", "61000", "52000"])  # salaries


@pytest.mark.parametrize("cell", ["19931231", 19931231, "1993–2001", "(1993- )", "1993-present"])
def test_the_year_of_what_is_no_year(cell: object) -> None:
    assert int(year_of(cell)) == 1993


def test_a_form_that_is_given_is_used() -> None:
    assert moment("15h30 05.06.19", "%Hh%M %d.%m.%y") == datetime(2019, 6, 5, 15, 30, tzinfo=UTC)
    with pytest.raises(CellError, match="%Y"):
        parse_moment("5 June", "at", "%Y")
    with pytest.raises(CellError, match="give at_format"):
        parse_moment("the day before", "at")


def test_whole_floats_are_ids_again_where_the_column_was_whole() -> None:
    assert parse_id("12.0", "item_id", whole=True) == "12"
    assert parse_id("12.0", "item_id") == "12.0"
    assert parse_id("12.50", "item_id", whole=True) == "12.50"


pieces = st.sampled_from(
    [
        *"[]{}(),:;=|'\"\\<>&/-. ",
        *("null", "name", "&amp;", "<p>", "</p>", "<!--", "12", "2019", "May", "é"),
    ]
)
odd = st.lists(pieces, max_size=30).map("".join)


@given(odd | st.text(max_size=60))
def test_whatever_a_cell_holds_is_read_or_refused(text: str) -> None:
    for read in (
        lambda: entries(text, "x", separator=",", is_list=True),
        lambda: entries(text, "x"),
        lambda: parse_moment(text, "at", DAY_FIRST),
        lambda: read_number(text, "x", decimal=","),
    ):
        try:
            read()
        except CellError:
            continue
    assert isinstance(plain_text(text), str)


@given(odd)
def test_no_name_holds_the_marks_of_its_list(text: str) -> None:
    assume(not text.strip().startswith('="'))  # how a spreadsheet writes a text, see `decoded`
    names = entries(repr([text, "War"]), "genres")
    plain = " ".join(plain_text(text).split())
    name = " ".join(one_line(plain).split())
    quoted = re.fullmatch(r'"([^"]*\w[^"]*)"', name)
    name = quoted[1].strip() if quoted else name
    assert {one.name for one in names} == {name, "War"} - {""}
