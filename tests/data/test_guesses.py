"""What a file is guessed to be: by its whole content, in every format, with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from formats import FORMATS, write_rows

from kgrec.data.columns import plan_columns
from kgrec.data.guess_file import FileGuess, guess_file
from kgrec.data.guesses import event_of, known_events
from kgrec.data.parsing import RowParser
from kgrec.data.plan import ColumnGuess
from kgrec.data.sources import Source
from kgrec.data.tables import open_table
from kgrec.errors import DataError
from kgrec.schema import load_schema

SCHEMA = load_schema()


def guessed(path: Path, rows: Sequence[dict[str, Any]], **options: Any) -> FileGuess:
    return guess_file(write_rows(path, rows), SCHEMA.domain("movies"), SCHEMA.core, **options)


def by_column(found: FileGuess) -> dict[str, ColumnGuess]:
    return {one.column: one for one in found.plan.guesses()}


@pytest.mark.parametrize("ending", FORMATS)
def test_every_guess_has_a_reason(tmp_path: Path, ending: str) -> None:
    rows = [
        {"movieId": n, "title": f"Film {n}", "genres": "Jazz|War", "year": 1990 + n, "x": ""}
        for n in range(5)
    ]
    found = guessed(tmp_path / f"t.{ending}", rows)
    assert (found.kind, found.reason) == ("catalog", "movieId are items")
    columns = by_column(found)
    assert columns["movieId"].reason == "called movieId"
    assert columns["genres"].reason == "movies calls HAS_GENRE so"
    assert columns["year"].reason == "year is a property of the domain"
    assert {one.how for one in columns.values()} == {"guessed", ""}


KINDS = {
    "interactions": {"userId": "1", "movieId": "2", "rating": 4},
    "users": {"user_id": "1", "age": 30},
    "catalog": {"movie_id": "1", "title": "Alien"},
    "relations": {"head": "1", "tail": "2", "relation": "SEQUEL_OF"},
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_kind_of_a_file_is_guessed(tmp_path: Path, kind: str) -> None:
    assert guessed(tmp_path / "t.csv", [KINDS[kind]]).kind == kind


def test_a_file_without_a_key_is_no_guess(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column is called like an id"):
        guessed(tmp_path / "t.csv", [{"a": 1, "b": 2}])


@pytest.mark.parametrize("ending", FORMATS)
def test_the_whole_file_decides_and_not_its_beginning(tmp_path: Path, ending: str) -> None:
    rows = [
        {
            "movie_id": str(n),
            "title": f"Film {n}",
            "director": f"Ann {n}" if n < 400 else f"Ann {n - 1}, Ann {n - 400}",
        }
        for n in range(1_000)
    ]
    assert by_column(guessed(tmp_path / f"t.{ending}", rows))["director"].becomes == (
        "DIRECTED_BY → Person split at ','"
    )


SEPARATORS = {
    "last, first": (["Lee, Ann", "Ray, Bob", "Orr, Cy"], None),
    "one each, with a suffix": (["Ann Lee, Jr.", "Bob Ray", "Cy Orr"], None),
    "full names": (["Ann Lee, Bob Ray", "Cy Orr", "Ann Lee"], ","),
    "three names": (["Cher, Prince, Sting", "Madonna"], ","),
    "pipes": (["Lee, Ann|Ray, Bob", "Orr, Cy"], "|"),
    "semicolons": (["Lee, Ann; Ray, Bob", "Orr, Cy; Lee, Ann"], ";"),
    "slashes": (["Ann Lee/Bob Ray", "Cy Orr"], "/"),
    "a slash in a name": (["AC/DC", "Bob Ray"], None),
    "escapes": (["Lee &amp; Sons", "Ray &amp; Orr"], None),
    "lines": (["Ann Lee\nBob Ray", "Cy Orr"], "\n"),
    "one in twenty": (["Ann Lee, Bob Ray", *(["Ann Lee", "Bob Ray"] * 10)], ","),
}


@pytest.mark.parametrize("name", list(SEPARATORS))
@pytest.mark.parametrize("ending", FORMATS)
def test_what_most_cells_hold_separates_names(tmp_path: Path, name: str, ending: str) -> None:
    cells, separator = SEPARATORS[name]
    rows = [{"movie_id": str(n), "title": "T", "director": one} for n, one in enumerate(cells)]
    plan = guessed(tmp_path / f"t.{ending}", rows).plan
    assert [one.separator for one in plan.relations] == [separator]


def test_an_event_column_that_holds_one_number_alone_is_none(tmp_path: Path) -> None:
    rows = [{"user_id": str(n % 5), "item_id": str(n), "event": 1} for n in range(30)]
    found = guessed(tmp_path / "t.csv", rows)
    assert found.plan.column("kind") is None
    assert "holds nothing but 1" in by_column(found)["event"].reason
    for row in rows:
        row["event"] = int(row["item_id"]) % 3
    assert guessed(tmp_path / "u.csv", rows).plan.column("kind") == "event"


def test_long_lists_are_no_description_and_long_texts_no_entities(tmp_path: Path) -> None:
    words = ["Action Queue", "Hand Management", "Legacy Game", "Solo Game", "Worker Placement"]
    prose = "A film that was made in Lisbon, by many, and is liked by all who have seen it so far."
    rows = [
        {
            "movie_id": str(n),
            "title": f"Film {n}",
            "powers": ", ".join([*words[n % 3 :], *words[: n % 4], *words]),
            "subject": f"{prose} Number {n}.",
        }
        for n in range(30)
    ]
    plan = guessed(tmp_path / "t.csv", rows).plan
    assert plan.column("description") == "subject"
    assert plan.relations == ()


def test_a_first_line_of_texts_and_objects_names_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "news.tsv"
    line = 'N1\tsports\tA title\t[{"Label": "Lisbon", "Type": "G"}]\n'
    path.write_text(line + line.replace("N1", "N2"), encoding="utf-8")
    with pytest.raises(DataError, match="holds values, not names"):
        open_table(path)


PLACES = {
    "cities": (["Paris, France", "Rome, Italy", "Oslo, Norway"], None),
    "lists": (["Paris, Rome", "Rome, Oslo", "Paris"], ","),
    "one cell": (["Paris, Rome"], ","),
}


@pytest.mark.parametrize("name", list(PLACES))
def test_what_is_no_person_may_hold_commas_too(tmp_path: Path, name: str) -> None:
    cells, separator = PLACES[name]
    rows = [{"movie_id": str(n), "title": "T", "setting": one} for n, one in enumerate(cells)]
    plan = guessed(tmp_path / "t.csv", rows).plan
    assert [one.separator for one in plan.relations] == [separator]
    unsplit = by_column(guessed(tmp_path / "t.csv", rows))["setting"].reason
    assert ("hold ',' and are not cut there; SET_IN=setting:, cuts them" in unsplit) == (
        separator is None
    )


def test_a_name_that_differs_in_the_rows_of_an_item_is_no_title(tmp_path: Path) -> None:
    rows = [{"id": str(n // 3), "name": f"Person {n}", "role": "ACTOR"} for n in range(9)]
    found = guessed(tmp_path / "t.csv", rows)
    assert found.plan.column("title") is None
    assert by_column(found)["name"].reason == "is no title, since rows of one item differ in it"


def test_keys_that_come_late_are_columns(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"movie_id": str(n), "title": "T"} for n in range(250)]
    rows.append({"movie_id": "x", "title": "T", "genres": ["War"], "colour": "red"})
    found = guessed(tmp_path / "t.jsonl", rows)
    columns = by_column(found)
    assert columns["genres"].becomes == "HAS_GENRE → Genre, lists"
    assert columns["colour"].reason == "not in the first 200 rows"


def test_columns_of_interactions_that_look_like_something_are_named(tmp_path: Path) -> None:
    rows = [
        {
            "user_id": "1",
            "item_id": str(n),
            "grades": n % 5 + 1,
            "ts": 881250949 + n,
            "d": "2019-01-01",
        }
        for n in range(20)
    ]
    columns = by_column(guessed(tmp_path / "t.csv", rows))
    assert columns["grades"].reason == (
        "looks like a rating (1 to 5) and is not used: --column value=grades"
    )
    assert columns["d"].reason == "looks like a time and is not used: --column at=d"


def test_columns_of_sales_that_look_like_something_are_named(tmp_path: Path) -> None:
    rows = [
        {
            "user_id": f"1.234{n}E+11",
            "movie_id": f"85123{n}",
            "Quantity": 6 - n,
            "UnitPrice": 2.55 + n,
            "InvoiceNo id": f"C{n}",
            "feedback": ("thumbs_up", "thumbs_down")[n % 2],
        }
        for n in range(9)
    ]
    columns = by_column(guessed(tmp_path / "t.csv", rows))
    assert "1.2340E+11 is what a spreadsheet leaves" in columns["user_id"].reason
    assert "as returns have" in columns["Quantity"].reason
    assert "looks like a price" in columns["UnitPrice"].reason
    assert "looks like an id" in columns["InvoiceNo id"].reason
    assert "as if they liked it" in columns["feedback"].reason


def test_escapes_hold_no_separator_that_is_counted(tmp_path: Path) -> None:
    rows = [{"movie_id": n, "title": "T", "genres": "War &amp; Sea|Noir"} for n in range(9)]
    assert ";" not in by_column(guessed(tmp_path / "t.csv", rows))["genres"].reason


def test_columns_of_items_that_look_like_something_are_named(tmp_path: Path) -> None:
    rows = [
        {
            "movie_id": str(n),
            "title": "T",
            "list_price": f"${n}.99",
            "avg_rating": n / 2,
            "imdb_id": f"tt{n:07}",
            "added": f"2019-01-{n + 1:02}",
        }
        for n in range(9)
    ]
    columns = by_column(guessed(tmp_path / "t.csv", rows))
    assert "looks like a price" in columns["list_price"].reason
    assert "looks like a rating of the item" in columns["avg_rating"].reason
    assert "looks like an id of something else" in columns["imdb_id"].reason
    assert "looks like a date" in columns["added"].reason


def test_ratings_and_times_go_by_many_names(tmp_path: Path) -> None:
    amazon = {"reviewerID": "A", "asin": "1", "overall": 1.0, "unixReviewTime": 1252800000}
    rows = [amazon | {"overall": n % 5 + 1.0, "reviewTime": "09 13, 2009"} for n in range(9)]
    plan = guessed(tmp_path / "t.jsonl", rows).plan
    assert {role: one.column for role, one in plan.roles.items()} == {
        "user_id": "reviewerID",
        "item_id": "asin",
        "value": "overall",
        "at": "unixReviewTime",
    }
    assert plan.interaction == "rating"
    rows = [{"user": "1", "item": str(n), "Star-Rating-Given": n % 5 + 1} for n in range(9)]
    found = guessed(tmp_path / "u.csv", rows)
    assert found.plan.column("value") == "Star-Rating-Given"
    assert by_column(found)["Star-Rating-Given"].reason == (
        "its name and its values, 1 to 5, are a rating's"
    )


def test_times_are_judged_before_anything_is_loaded(tmp_path: Path) -> None:
    def reason(values: Sequence[Any]) -> str:
        rows = [{"user_id": "1", "item_id": "2", "time": value} for value in values]
        return by_column(guessed(tmp_path / "t.csv", rows))["time"].reason

    assert "the digits are dates" in reason([20230115, 20230116])
    assert "before 1980" in reason([14, 250, 1600])
    assert "the month first" in reason(["5/6/2019"])
    assert "the day first" in reason(["25/6/2019", "5/6/2019"])


def test_events_that_are_no_kinds_are_listed(tmp_path: Path) -> None:
    names = ["addtocart", "View", "teleport", "teleport", "zoom"]
    rows = [{"user_id": "1", "item_id": "2", "event": name} for name in names]
    reason = by_column(guessed(tmp_path / "t.csv", rows))["event"].reason
    assert "set aside: teleport, zoom;" in reason


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("cart", "add_to_cart,add-to-cart,Add to Cart,ADD_TO_CART,addToCart,Product Added,加购"),
        ("view", "page-view,PageView,view_item,ViewContent,Product Viewed,浏览"),
        ("purchase", "Order Completed,TRANSACTION,购买,buy,order_placed"),
        ("like", "add_to_wishlist,AddToWishlist,收藏,Favourite"),
        ("", "remove_from_cart,refund,search,kart"),
    ],
)
def test_usual_names_of_events_are_known_in_every_writing(kind: str, names: str) -> None:
    known = known_events(load_schema().core.interactions)
    for name in names.split(","):
        found = event_of(name, known)
        assert (found.kind if found else "") == kind, name


def test_memory_stays_bounded_over_long_files(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    write_rows(path, [{"id": n, "title": "x" * 30_000} for n in range(1_500)])
    table = open_table(path).surveyed()
    assert max(len(row["title"]) for row in table.sample) == 4_000
    write_rows(path, [{"id": n, "title": "x"} for n in range(30_000)])
    table = open_table(path).surveyed()
    assert 4_000 < len(table.sample) <= 8_192
    assert table.sample[-1]["id"] > 29_900


def test_a_name_is_no_proof(tmp_path: Path) -> None:
    rows = [
        {"user_id": "u", "item_id": str(n), "rating": "PG-13", "time": "evening", "event": f"e{n}"}
        for n in range(60)
    ]
    found = guessed(tmp_path / "t.csv", rows)
    columns = by_column(found)
    assert set(found.plan.roles) == {"user_id", "item_id"}
    assert columns["rating"].reason == "is called like value, but is no number in most rows"
    assert columns["time"].reason == "is called like at, but is no time in most rows"
    assert "more than 50 different values" in columns["event"].reason
    rows = [{"movie_id": str(n), "title": "T", "year": f"Season {n}"} for n in range(60)]
    columns = by_column(guessed(tmp_path / "u.csv", rows))
    assert columns["year"].becomes == "not used"
    assert columns["year"].reason == "is called like year, but is no number in most rows"


SEPARATED = {
    "last, first; last, first": (
        ["Hooper, Tobe; Scott, Ridley", "Mann, Michael", "Leigh, Mike; Allen, Woody"],
        [["Hooper, Tobe", "Scott, Ridley"], ["Mann, Michael"]],
    ),
    "a slash between spaces": (
        ["Drama / War", "War / Crime", "Drama", "Crime / Drama / War"],
        [["Drama", "War"], ["War", "Crime"]],
    ),
    "a slash within names": (["Sci-Fi/Fantasy", "War", "Drama"], [["Sci-Fi/Fantasy"], ["War"]]),
    "a middle dot": (
        ["Drama · War", "War · Crime", "Drama", "Crime · Drama · War"],
        [["Drama", "War"], ["War", "Crime"]],
    ),
    "levels of a category": (
        ["Drama > War", "Drama > War > Sea, Air", "Drama", "Crime, Law > Noir"],
        [["Drama", "War"], ["Drama", "War", "Sea, Air"], ["Drama"], ["Crime, Law", "Noir"]],
    ),
    "marks that no name holds": (["Drama~War", "War"], [["Drama", "War"], ["War"]]),
    "last, first and another": (
        ["Joel Coen & Ethan Coen", "Ethan Coen"],
        [["Joel Coen", "Ethan Coen"]],
    ),
    "a name above a number": (["Acme Ltd\n3.2", "Bolt\n4.0"], [["Acme Ltd"], ["Bolt"]]),
    "names with weights": (["Drama=12,War=3", "War=7"], [["Drama", "War"], ["War"]]),
    "tags in angle brackets": (
        ["<drama><film-noir>", "<war>", "<crime><drama>"],
        [["drama", "film-noir"], ["war"]],
    ),
    "quotes without brackets": (
        ['"Drama","War, Civil"', '"War"', '"Crime","Drama"'],
        [["Drama", "War, Civil"]],
    ),
    "a list in a text of JSON": (['"[\\"Drama\\", \\"War\\"]"'], [["Drama", "War"]]),
    "a list whose marks stand within no cell": (["Drama, War", "War, Crime"], [["Drama", "War"]]),
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("name", list(SEPARATED))
def test_values_are_separated_as_most_cells_show(tmp_path: Path, name: str, ending: str) -> None:
    cells, expected = SEPARATED[name]
    column = "director" if "last" in name else "genres"
    rows = [{"movie_id": n, "title": f"Film {n}", column: cells[n % len(cells)]} for n in range(60)]
    path = write_rows(tmp_path / f"t.{ending}", rows)
    source = Source(kind="catalog", path=path)
    table = open_table(path).surveyed()
    core, movies = SCHEMA.core, SCHEMA.domain("movies")
    parser = RowParser(plan_columns(table, source, movies, core), source, movies, core)
    found = [
        [fact.name for fact in parser.item(row, lambda *_: None).facts]
        for _, row in table.rows(lambda *_: None)
    ]
    assert found[: len(expected)] == expected


@pytest.mark.parametrize("ending", FORMATS)
def test_columns_that_say_whether_a_class_applies(tmp_path: Path, ending: str) -> None:
    for yes, no in (("yes", "no"), ("Y", "N"), ("x", ""), ("t", "f"), ("✓", ""), (1, 0)):
        rows = [
            {
                "movie_id": n,
                "title": f"Film {n}",
                "genre_War": yes if n % 2 else no,
                "genre_Film_Noir": no if n % 3 else yes,
                "genre_is_known": yes,
            }
            for n in range(30)
        ]
        path = write_rows(tmp_path / f"t.{ending}", rows)
        source = Source(kind="catalog", path=path)
        table = open_table(path).surveyed()
        core, movies = SCHEMA.core, SCHEMA.domain("movies")
        plan = plan_columns(table, source, movies, core)
        assert [one.entity for one in plan.relations] == ["War", "Film Noir"], (yes, no)
        parser = RowParser(plan, source, movies, core)
        found = [
            {fact.name for fact in parser.item(row, lambda *_: None).facts}
            for _, row in table.rows(lambda *_: None)
        ]
        assert found[:4] == [{"Film Noir"}, {"War"}, set(), {"War", "Film Noir"}], (yes, no)
