"""Columns: guessed from names and values, shown, and overruled."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgrec.data.cells.values import CellError
from kgrec.data.columns import plan_columns
from kgrec.data.parsing import RowParser
from kgrec.data.plan import ColumnPlan
from kgrec.data.sources import Source
from kgrec.data.tables import open_table
from kgrec.errors import ConfigError, DataError
from kgrec.schema import load_schema

SCHEMA = load_schema()
FILMS = """movieId,Title,release_year,genres,Overview,cast,language
1,Alien,1979,Horror|Sci-Fi,"A crew meets a creature.","Weaver, Sigourney|Skerritt, Tom",en
2,Heat,1995,Crime,"A thief and a detective.",Al Pacino|Robert De Niro,en
"""


def planned(folder: Path, text: str, **options: object) -> tuple[ColumnPlan, RowParser, list[dict]]:
    path = folder / "t.csv"
    path.write_text(text, encoding="utf-8")
    source = Source.model_validate({"path": path, **options})
    table = open_table(path, source.layout)
    domain = SCHEMA.domain("movies")
    plan = plan_columns(table, source, domain, SCHEMA.core)
    parser = RowParser(plan, source, domain, SCHEMA.core)
    return plan, parser, [cells for _, cells in table.rows(lambda *_: None)]


def test_a_catalogue_is_understood_by_its_names(tmp_path: Path) -> None:
    plan, parser, rows = planned(tmp_path, FILMS, kind="catalog")
    assert {role: one.column for role, one in plan.roles.items()} == {
        "item_id": "movieId",
        "title": "Title",
        "description": "Overview",
    }
    assert [(p.column, p.becomes, p.type) for p in plan.properties] == [
        ("release_year", "year", "integer")
    ]
    assert {(r.relation, r.column, r.separator) for r in plan.relations} == {
        ("HAS_GENRE", "genres", "|"),
        ("STARS", "cast", "|"),
    }
    assert plan.unused == ("language",)
    item = parser.item(rows[0], lambda *_: None)
    assert item.item_id == "1"
    assert item.properties == {
        "title": "Alien",
        "year": 1979,
        "description": "A crew meets a creature.",
    }
    first = item.facts[0]
    assert (first.relation, first.name, first.source) == ("HAS_GENRE", "Horror", "column:t.genres")
    assert first.confidence == 1.0


def test_another_title_is_an_alias_and_the_only_one_is_the_title(tmp_path: Path) -> None:
    table = (
        "movieId,title,original_title\n1,The Wages of Fear,Le salaire de la peur\n2,Alien,Alien\n"
    )
    plan, parser, rows = planned(tmp_path, table, kind="catalog")
    assert plan.roles["aliases"].column == "original_title"
    first, second = (parser.item(row, lambda *_: None).properties for row in rows)
    assert first == {"title": "The Wages of Fear", "aliases": ("Le salaire de la peur",)}
    assert second == {"title": "Alien"}
    only = "movieId,original_title\n1,Le salaire de la peur\n"
    plan, parser, rows = planned(tmp_path, only, kind="catalog")
    assert "aliases" not in plan.roles
    assert parser.item(rows[0], lambda *_: None).properties == {"title": "Le salaire de la peur"}


def test_every_guess_is_shown_as_one(tmp_path: Path) -> None:
    plan, _, _ = planned(tmp_path, FILMS, kind="catalog", columns={"title": "Title"})
    said = {column: (becomes, how) for column, becomes, how in plan.described()}
    assert said["Title"] == ("title", "given")
    assert said["movieId"] == ("item_id", "guessed")
    assert said["genres"] == ("HAS_GENRE → Genre split at '|'", "guessed")
    assert said["language"] == ("not used", "")
    assert len(said) == 7


def test_what_is_given_overrules_the_guess(tmp_path: Path) -> None:
    plan, _, _ = planned(
        tmp_path,
        FILMS,
        kind="catalog",
        columns={"title": "Overview"},
        relations={"HAS_KEYWORD": "genres:|", "STARS": ""},
        properties=["language"],
    )
    assert plan.column("title") == "Overview"
    assert plan.column("description") is None
    assert [(r.relation, r.column) for r in plan.relations] == [("HAS_KEYWORD", "genres")]
    assert [p.becomes for p in plan.properties] == ["language"]


def test_interactions_are_understood_by_names_and_values(tmp_path: Path) -> None:
    text = "userId,movieId,rating,when\n1,2,3.5,881250949\n"
    plan, parser, rows = planned(tmp_path, text, kind="interactions")
    assert plan.column("at") == "when"
    one = parser.interaction(rows[0])
    assert (one.kind, one.value, one.at) == ("rating", 3.5, 881_250_949_000)
    plan, parser, rows = planned(tmp_path, "user,item\na,b\n", kind="interactions")
    assert parser.interaction(rows[0]).kind == "view"


def test_stars_are_a_rating_whatever_a_shop_calls_them(tmp_path: Path) -> None:
    text = "reviewerID,asin,overall,unixReviewTime\nA1,B2,1.0,1252800000\n"
    plan, parser, rows = planned(tmp_path, text, kind="interactions")
    one = parser.interaction(rows[0])
    assert (one.user_id, one.kind, one.value, one.at) == ("A1", "rating", 1.0, 1_252_800_000_000)
    assert plan.unused == ()


def test_a_list_of_texts_is_a_description_of_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"asin": "a", "title": "A", "description": ["One. ", "", "Two."]}\n', "utf-8")
    source = Source(kind="catalog", path=path)
    table, domain = open_table(path, source.layout), SCHEMA.domain("shop")
    plan = plan_columns(table, source, domain, SCHEMA.core)
    [(_, cells)] = table.rows(lambda *_: None)
    item = RowParser(plan, source, domain, SCHEMA.core).item(cells, lambda *_: None)
    assert item.properties["description"] == "One.\n\nTwo."


def test_a_date_gives_the_year_that_is_wanted_of_it(tmp_path: Path) -> None:
    text = 'movie_id,title,release_date\n1,A,2010-11-21\n2,B,"May 1, 2014"\n3,C,1990.0\n4,D,soon\n'
    _, parser, rows = planned(tmp_path, text, kind="catalog")
    reported: list[object] = []
    years = [
        parser.item(row, lambda value, _: reported.append(value)).properties.get("year")
        for row in rows
    ]
    assert (years, reported) == ([2010, 2014, 1990, None], ["soon"])


def test_users_keep_what_is_said_of_them(tmp_path: Path) -> None:
    text = "user_id,age,gender,zip code\n1,24,M,02139\n2,53,F,\n"
    plan, parser, rows = planned(tmp_path, text, kind="users")
    assert {p.becomes: p.type for p in plan.properties} == {
        "age": "integer",
        "gender": "string",
        "zip_code": "string",
    }
    user = parser.user(rows[1], lambda *_: None)
    assert user.properties == {"age": 53, "gender": "F"}


def test_users_may_have_what_is_reserved_for_items(tmp_path: Path) -> None:
    text = "user_id,title,description,名前,2nd\n1,Dr,tall,x,y\n"
    plan, parser, rows = planned(tmp_path, text, kind="users")
    assert parser.user(rows[0], lambda *_: None).properties == {
        "title": "Dr",
        "description": "tall",
    }
    assert plan.unused == ("名前", "2nd")
    with pytest.raises(ConfigError, match="2nd"):
        planned(tmp_path, text, kind="users", properties=["2nd"])


def test_an_odd_cell_that_can_be_spared_is_reported_and_spared(tmp_path: Path) -> None:
    text = "movie_id,title,year,genres\n1,Alien,soon,Horror\n"
    _, parser, rows = planned(tmp_path, text, kind="catalog")
    reports: list[tuple[object, str]] = []
    item = parser.item(rows[0], lambda *one: reports.append(one))
    assert item.properties == {"title": "Alien"}
    assert reports == [("soon", "year is not a number; the row is kept without it")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,2,abc,881250949", "value is not a number"),
        ("1,2,,881250949", "value is missing"),
        ("1,2,NaN,881250949", "value is not a finite number"),
        ("1,2,9,881250949", "value lies outside 1 to 5"),
        (",2,3,881250949", "user_id is missing"),
        ("1,null,3,881250949", "item_id is missing"),
        ("1,2,3,99999999999", "at lies in the future (without a zone it is read as UTC)"),
        ("1,2,3,-1", "at lies before 1970"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(tmp_path: Path, row: str, reason: str) -> None:
    text = f"user_id,item_id,rating,timestamp\n{row}\n"
    _, parser, rows = planned(tmp_path, text, kind="interactions", value_range=(1, 5))
    with pytest.raises(CellError) as caught:
        parser.interaction(rows[0])
    assert caught.value.reason == reason


def test_an_unknown_kind_of_interaction_is_refused(tmp_path: Path) -> None:
    text = "user,item,event\n1,2,Purchase\n1,2,sneeze\n"
    _, parser, rows = planned(tmp_path, text, kind="interactions")
    assert parser.interaction(rows[0]).kind == "purchase"
    with pytest.raises(CellError, match="kind is none of"):
        parser.interaction(rows[1])


def test_a_table_without_its_key_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column looks like item_id") as caught:
        planned(tmp_path, "a,b\n1,2\n", kind="catalog")
    assert "a, b" in str(caught.value)
    assert "--column item_id=COLUMN" in caught.value.remedy


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"columns": {"title": "Titel"}}, "Did you mean 'Title'"),
        ({"relations": {"HAS_GENRES": "genres:|"}}, "Did you mean 'HAS_GENRE'"),
        ({"relations": {"HAS_GENRE": "genre:|"}}, "Did you mean 'genres'"),
        ({"properties": ["lang"]}, "language"),
        ({"columns": {"item_id": "movieId", "vector_a": "language"}}, "vector_a"),
    ],
)
def test_what_is_given_wrong_is_an_error_with_a_hint(
    tmp_path: Path, options: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, FILMS, kind="catalog", **options)
    assert says in str(caught.value)


def test_a_source_has_one_origin() -> None:
    with pytest.raises(ValueError, match="either a path, an address or a dataset"):
        Source(kind="catalog")


@pytest.mark.data
def test_the_public_catalogues_are_understood() -> None:
    folder = Path(__file__).parents[3] / "shared" / "data" / "movies"
    if not folder.is_dir():
        pytest.skip("../shared/data/movies is not there")
    wanted = {
        ("catalog.csv", "catalog"): {"HAS_GENRE", "HAS_KEYWORD"},
        ("people.csv", "catalog"): {"DIRECTED_BY", "STARS"},
        ("ratings.csv", "interactions"): set(),
    }
    for (name, kind), relations in wanted.items():
        source = Source.model_validate({"kind": kind, "path": folder / name})
        table = open_table(folder / name)
        plan = plan_columns(table, source, SCHEMA.domain("movies"), SCHEMA.core)
        assert {one.relation for one in plan.relations} == relations
        assert plan.column("item_id") == "movie_id"
