"""Tables as people really have them, through the load into the graph, in every format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from formats import FORMATS, write_rows
from small_tables import Command, Load

from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.stages.ingest import IngestSummary
from kgrec.stages.upsert import upsert_items

LoadRows = Callable[..., IngestSummary]


@pytest.fixture(params=FORMATS)
def load_rows(request: pytest.FixtureRequest, load: Load, tmp_path: Path) -> LoadRows:
    """Load rows as one file of a format; options are those of a source."""

    def run(
        kind: str, rows: Sequence[Mapping[str, Any]], name: str = "t", **options: object
    ) -> IngestSummary:
        path = write_rows(tmp_path / f"{name}.{request.param}", rows)
        return load(kind, path.read_bytes(), name=path.name, **options)

    return run


def rows(store: GraphStore, cypher: str) -> list[list[Any]]:
    return [list(row.values()) for row in store.query(cypher, limit=10_000).rows]


def facts(store: GraphStore) -> set[tuple[str, str, str]]:
    found = rows(store, "MATCH (i:Item)-[f]->(e:Entity) RETURN i.item_id, type(f), e.name")
    return {(item, relation, name) for item, relation, name in found}


def named(store: GraphStore, item: str) -> set[str]:
    return {name for one, _, name in facts(store) if one == item}


def films(**columns: Sequence[Any]) -> list[dict[str, Any]]:
    count = len(next(iter(columns.values())))
    return [
        {"movie_id": str(n), "title": f"Film {n}"} | {k: v[n] for k, v in columns.items()}
        for n in range(count)
    ]


def test_lists_written_in_cells_are_lists(load_rows: LoadRows, empty_store: GraphStore) -> None:
    cells = ['[{"id": 3, "name": "War"}]', "['War', 'Sci-Fi']", '{"War","Noir"}', "[]"]
    done = load_rows("catalog", films(genres=cells))
    assert {name for _, _, name in facts(empty_store)} == {"War", "Sci-Fi", "Noir"}
    assert (done.facts, done.cells_rejected) == (5, 0)


def test_a_list_that_breaks_off_is_set_aside_and_makes_no_entity(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    done = load_rows("catalog", films(genres=["['War', 'Noir']", "['War', 'No", "['Noir']"]))
    assert done.reasons == {"genres holds a list that does not end; the row is kept without it": 1}
    assert {name for _, _, name in facts(empty_store)} == {"War", "Noir"}


def test_objects_are_chosen_by_what_they_hold(load_rows: LoadRows, empty_store: GraphStore) -> None:
    crew = str(
        [
            {"job": "Director", "who": {"name": "Ann"}, "n": 7},
            {"job": "Writer", "who": {"name": "Bob"}, "n": 8},
        ]
    )
    spec = {"name": "crew", "key": "who", "where": {"job": "Director"}}
    load_rows("catalog", films(crew=[crew, crew]), relations={"DIRECTED_BY": spec})
    assert facts(empty_store) == {("0", "DIRECTED_BY", "Ann"), ("1", "DIRECTED_BY", "Ann")}


def test_words_for_nothing_are_nothing_and_counted(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    table = films(
        director=["N/A", "None", "-", "Ann"],
        genres=["(no genres listed)", "War|unknown", "?", "nan"],
        year=["1999", "n/a", "null", "2001"],
    )
    done = load_rows("catalog", table)
    assert {name for _, _, name in facts(empty_store)} == {"Ann", "War"}
    assert (done.nulls, done.cells_rejected) == (8, 0)


def test_a_band_called_none_is_within_reach(load_rows: LoadRows, empty_store: GraphStore) -> None:
    load_rows("catalog", films(director=["None", "k.A."]), nulls=["k.A."])
    assert {name for _, _, name in facts(empty_store)} == {"None"}


def test_films_may_be_called_like_nothing(load_rows: LoadRows, empty_store: GraphStore) -> None:
    load_rows("catalog", [{"movie_id": "1", "title": "Unknown"}, {"movie_id": "2", "title": "?"}])
    assert rows(empty_store, "MATCH (i:Item) RETURN i.title ORDER BY i.title") == [
        ["?"],
        ["Unknown"],
    ]


def test_ids_that_became_floats_meet_the_same_items(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    load_rows("catalog", [{"movie_id": "862", "title": "A"}, {"movie_id": "8844", "title": "B"}])
    done = load_rows(
        "interactions",
        [
            {"user_id": "1.0", "movie_id": "862.0", "rating": 4},
            {"user_id": "2.0", "movie_id": "8844.0", "rating": 5},
        ],
        create_items=True,
    )
    assert (done.created, done.items) == (2, 0)
    assert rows(empty_store, "MATCH (u:User) RETURN u.user_id ORDER BY u.user_id") == [["1"], ["2"]]


def test_versions_stay_as_they_are(load_rows: LoadRows, empty_store: GraphStore) -> None:
    load_rows("catalog", [{"movie_id": "1.0", "title": "A"}, {"movie_id": "1.5", "title": "B"}])
    assert rows(empty_store, "MATCH (i:Item) RETURN i.item_id ORDER BY i.item_id") == [
        ["1.0"],
        ["1.5"],
    ]
    load_rows("catalog", [{"movie_id": "7.0", "title": "C"}], whole_ids=False)
    assert rows(empty_store, "MATCH (i:Item {title: 'C'}) RETURN i.item_id") == [["7.0"]]


def test_rows_of_one_item_are_joined(load_rows: LoadRows, empty_store: GraphStore) -> None:
    load_rows("catalog", films(year=[1990, 1991]))
    tags = [("0", "dark"), ("1", "funny"), ("0", "slow"), ("0", "dark"), ("1", "short")]
    table = [{"movie_id": item, "tag": tag} for item, tag in tags]
    done = load_rows("catalog", table, "tags", relations={"HAS_KEYWORD": "tag"})
    assert (done.rows, done.updated, done.repeated, done.rejected, done.facts) == (5, 2, 2, 1, 4)
    assert (named(empty_store, "0"), named(empty_store, "1")) == (
        {"dark", "slow"},
        {"funny", "short"},
    )
    again = load_rows("catalog", table, "tags", relations={"HAS_KEYWORD": "tag"})
    assert not again.changed
    done = load_rows("catalog", table[:4], "tags", relations={"HAS_KEYWORD": "tag"})
    assert done.withdrawn == 1


def test_rows_are_joined_over_batches(
    load: Load, empty_store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgrec.stages.loading.table.ITEMS_A_BATCH", 2)
    lines = [f"{item},Film {item},{tag}" for tag in ("a", "b", "c") for item in range(7)]
    text = "\n".join(["movie_id,title,keywords", *lines, ""])
    done = load("catalog", text)
    assert (done.created, done.repeated, done.facts) == (7, 14, 21)
    assert not load("catalog", text).changed


def test_a_row_may_count_for_what_another_column_holds(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    load_rows("catalog", films(year=[1990]))
    credits = [
        {"movie_id": "0", "name": "Ann", "role": "ACTOR"},
        {"movie_id": "0", "name": "Bob", "role": "DIRECTOR"},
    ]
    relations = {
        "STARS": {"name": "name", "where": {"role": "ACTOR"}},
        "DIRECTED_BY": {"name": "name", "where": {"role": "DIRECTOR"}},
    }
    load_rows("catalog", credits, "credits", relations=relations)
    assert facts(empty_store) == {("0", "STARS", "Ann"), ("0", "DIRECTED_BY", "Bob")}


def titles(store: GraphStore) -> list[Any]:
    return [title for (title,) in rows(store, "MATCH (i:Item) RETURN i.title ORDER BY i.item_id")]


def test_a_guess_replaces_nothing_that_another_source_gave(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    load_rows("catalog", films(year=[1990, 1991]), "films")
    other = [{"movie_id": "0", "name": "Ann", "year": 1990}, {"movie_id": "1", "name": "Bob"}]
    done = load_rows("catalog", other, "credits")
    assert titles(empty_store) == ["Film 0", "Film 1"]
    reason = (
        "the title that films gave is kept, as this column is guessed; "
        "--column title=COLUMN replaces it"
    )
    assert (done.reasons, done.unchanged) == ({reason: 2}, 2)
    load_rows("catalog", other, "credits", columns={"title": "name"})
    assert titles(empty_store) == ["Ann", "Bob"]


def test_no_guessed_property_replaces_one_that_another_source_gave(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    load_rows("catalog", films(year=[1990], description=["A crew."]), "films")
    known = "MATCH (i:Item) RETURN i.title, i.year, i.description"
    other = {"movie_id": "0", "release_year": 2001, "plot": "Dull.", "name": "Ann"}
    done = load_rows("catalog", [other], "reviews")
    assert rows(empty_store, known) == [["Film 0", 1990, "A crew."]]
    assert sorted(reason.split()[1] for reason in done.reasons) == [
        "description",
        "title",
        "year",
    ]


def test_a_source_changes_what_it_gave_itself(load_rows: LoadRows, empty_store: GraphStore) -> None:
    load_rows("catalog", films(year=[1990]), "films")
    load_rows("catalog", [{"movie_id": "0", "title": "New", "year": 1991}], "films")
    assert rows(empty_store, "MATCH (i:Item) RETURN i.title, i.year") == [["New", 1991]]


def test_what_a_person_gave_is_kept_against_a_guess(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    table = films(year=[1990])
    load_rows("catalog", table, "films")
    domain = load_schema().domain("movies")
    corrected = [(1, {"item_id": "0", "title": "Corrected"})]
    assert upsert_items(empty_store, corrected, domain, source="api").tally.updated == 1
    assert load_rows("catalog", table, "films").cells_rejected == 1
    assert titles(empty_store) == ["Corrected"]


def test_several_columns_may_hold_one_relation(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    table = films(star1=["Ann", "Cy"], star2=["Bob", "Ann"])
    load_rows("catalog", table, relations={"STARS": ["star1", "star2"]})
    assert (named(empty_store, "0"), named(empty_store, "1")) == ({"Ann", "Bob"}, {"Cy", "Ann"})
    assert not load_rows(
        "catalog", table, relations={"STARS": {"name": ["star1", "star2"]}}
    ).changed


ONE_HOT = films(genre_War=[1, 0, 1], genre_Film_Noir=[0, 1, 1])


def test_columns_of_zeros_and_ones_are_classes(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    load_rows("catalog", ONE_HOT)
    assert facts(empty_store) == {
        ("0", "HAS_GENRE", "War"),
        ("1", "HAS_GENRE", "Film Noir"),
        ("2", "HAS_GENRE", "War"),
        ("2", "HAS_GENRE", "Film Noir"),
    }


def test_columns_of_zeros_and_ones_side_by_side_are_classes(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    load_rows("catalog", films(War=[1, 0], Noir=[0, 1], Drama=[0, 0], Western=["1", "1"]))
    assert (named(empty_store, "0"), named(empty_store, "1")) == (
        {"War", "Western"},
        {"Noir", "Western"},
    )


def test_flags_that_are_given_are_classes(load_rows: LoadRows, empty_store: GraphStore) -> None:
    table = films(War=[1, 0], year=[1990, 1991])
    load_rows("catalog", table, relations={"HAS_GENRE": ["War"]})
    assert facts(empty_store) == {("0", "HAS_GENRE", "War")}


PEOPLE = films(
    director=["Sam Lee", "Sam Lee", "Sam Lee"],
    director_id=["902", "902", "777"],
    actors=["Ann|Sam Lee", "Ann", ""],
    actor_ids=["1|501", "1", ""],
)
BY_ID = {
    "DIRECTED_BY": {"name": "director", "id": "director_id"},
    "STARS": {"name": "actors", "id": "actor_ids"},
}


def test_two_people_of_one_name_stay_two(load_rows: LoadRows, empty_store: GraphStore) -> None:
    load_rows("catalog", PEOPLE, relations=BY_ID)
    found = rows(
        empty_store,
        "MATCH (i)-[f]->(e:Person {name: 'Sam Lee'}) "
        "RETURN i.item_id, e.entity_id ORDER BY i.item_id, e.entity_id",
    )
    assert found == [
        ["0", "Person:501"],
        ["0", "Person:902"],
        ["1", "Person:902"],
        ["2", "Person:777"],
    ]
    assert not load_rows("catalog", PEOPLE, relations=BY_ID).changed


def test_a_table_of_people_meets_them_by_their_ids(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    load_rows("catalog", PEOPLE, relations=BY_ID)
    people = [{"person_id": "902", "name": "Samantha Lee", "birth_year": 1960}]
    done = load_rows("entities", people, "people", entity_type="Person")
    assert (done.created, done.updated) == (0, 1)


def test_names_and_ids_of_another_number_are_set_aside(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    table = films(actors=["Ann|Bob", "Ann|Bob"], actor_ids=["1|2", "1|2|3"])
    done = load_rows("catalog", table, relations={"STARS": BY_ID["STARS"]})
    reason = "actors has 2 names and actor_ids 3 ids; the row is kept without it"
    assert done.reasons == {reason: 1}


def test_ids_may_stand_in_the_objects(load_rows: LoadRows, empty_store: GraphStore) -> None:
    cast = [str([{"id": 5, "name": "Sam"}]), str([{"id": 6, "name": "Sam"}])]
    spec = {"name": "cast", "id_key": "id"}
    load_rows("catalog", films(cast=cast), relations={"STARS": spec})
    found = rows(empty_store, "MATCH (e:Person) RETURN e.entity_id ORDER BY e.entity_id")
    assert found == [["Person:5"], ["Person:6"]]


def test_catalogues_with_one_number_have_a_namespace(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    load_rows("catalog", films(year=[1990]), "a")
    load_rows("catalog", films(year=[1991]), "b", namespace="b")
    done = load_rows("interactions", [{"user_id": "u", "movie_id": "0"}], "views", namespace="b")
    assert done.created == 1
    assert rows(empty_store, "MATCH (:User)-->(i) RETURN i.item_id, i.year") == [["b:0", 1991]]
    sequels = [{"movie_id": "0", "sequel_of": "1"}]
    with pytest.raises(Exception, match="no such item"):
        load_rows("relations", sequels, "sequels", relation="SEQUEL_OF", namespace="b")


def test_markup_becomes_text_before_anything_reads_it(
    load_rows: LoadRows, empty_store: GraphStore
) -> None:
    table = films(
        description=["<p>By <b>Ann</b> &amp; Bob.</p><ul><li>One</li></ul>"],
        director=["<i>Ann</i> O&#39;Neil|Bob"],
    )
    load_rows("catalog", [table[0] | {"title": "Tom &amp; Jerry"}])
    found = rows(empty_store, "MATCH (i:Item) RETURN i.title, i.description")
    assert found == [["Tom & Jerry", "By Ann & Bob.\n\n- One"]]
    assert named(empty_store, "0") == {"Ann O'Neil", "Bob"}


def test_numbers_are_those_of_their_column(load_rows: LoadRows, empty_store: GraphStore) -> None:
    table = films(price=["1.299,00 €", "12,5", "1.000"], year=["1999.0", "2,001", "1 987"])
    load_rows("catalog", table, properties=["price", "year"])
    found = rows(empty_store, "MATCH (i:Item) RETURN i.price, i.year ORDER BY i.item_id")
    assert found == [[1299.0, 1999], [12.5, 2001], [1000.0, 1987]]


def test_ratings_may_have_decimal_commas(load_rows: LoadRows, empty_store: GraphStore) -> None:
    table = [{"user_id": "u", "item_id": str(n), "rating": r} for n, r in enumerate(["4,5", "3"])]
    load_rows("interactions", table, create_items=True)
    found = rows(empty_store, "MATCH (:User)-[x]->(i) RETURN x.value ORDER BY i.item_id")
    assert found == [[4.5], [3.0]]


TIMES = {
    "11/25/2019 9:05:58 AM": 1_574_672_758_000,
    "Dec 31, 2015": 1_451_520_000_000,
    "12 31, 2015": 1_451_520_000_000,
    "2015-12-31": 1_451_520_000_000,
    "": None,
    "N/A": None,
}


def test_times_have_every_usual_form(load_rows: LoadRows, empty_store: GraphStore) -> None:
    table = [{"user_id": "u", "item_id": str(n), "time": text} for n, text in enumerate(TIMES)]
    done = load_rows("interactions", table, create_items=True)
    assert done.rejected == 0
    query = "MATCH ()-[x:INTERACTED]->(i) RETURN x.at.epochMillis ORDER BY i.item_id"
    assert [at for (at,) in rows(empty_store, query)] == list(TIMES.values())


def test_a_form_of_times_is_given(load_rows: LoadRows, empty_store: GraphStore) -> None:
    table = [{"user_id": "u", "item_id": "1", "time": "31.12.15 23h59"}]
    load_rows("interactions", table, create_items=True, at_format="%d.%m.%y %Hh%M")
    found = rows(empty_store, "MATCH ()-[x:INTERACTED]->() RETURN x.at.epochMillis")
    assert found == [[1_451_606_340_000]]


def test_events_are_kinds_with_weights(load_rows: LoadRows, empty_store: GraphStore) -> None:
    events = ["view", "addtocart", "Transaction", "gaze", "ad"]
    table = [{"user_id": "u", "item_id": str(n), "event": e} for n, e in enumerate(events)]
    kinds = {"gaze": {"kind": "view", "weight": 0.5}, "addtocart": "cart", "ad": {"kind": ""}}
    done = load_rows("interactions", table, create_items=True, kinds=kinds)
    assert done.reasons == {"rows of this kind are left out by `kinds`": 1}
    query = "MATCH ()-[x:INTERACTED]->(i) RETURN x.kind, x.value ORDER BY i.item_id"
    assert rows(empty_store, query) == [
        ["view", 1.0],
        ["cart", 1.0],
        ["purchase", 1.0],
        ["view", 0.5],
    ]


def test_keys_that_come_late_are_loaded(
    load: Load, empty_store: GraphStore, tmp_path: Path
) -> None:
    table: list[dict[str, Any]] = [{"movie_id": str(n), "title": "T"} for n in range(220)]
    table.append({"movie_id": "late", "title": "T", "genres": ["War"], "colour": "red"})
    path = write_rows(tmp_path / "x.jsonl", table)
    load("catalog", path.read_bytes(), name="t.jsonl", columns={"colour": "colour"})
    assert facts(empty_store) == {("late", "HAS_GENRE", "War")}
    found = rows(empty_store, "MATCH (i:Item {item_id: 'late'}) RETURN i.colour")
    assert found == [["red"]]


def test_quotes_of_tab_separated_files_are_recognised(load: Load, empty_store: GraphStore) -> None:
    text = 'movie_id\ttitle\tdescription\n1\t"Say ""hi"""\t"One\ntwo"\n2\tPlain\t"as" is\n'
    done = load("catalog", text.replace('"as" is', "as is"), name="t.tsv")
    assert (done.created, titles(empty_store)) == (2, ['Say "hi"', "Plain"])


def test_a_line_that_numbers_the_columns_is_left_out(load: Load, empty_store: GraphStore) -> None:
    text = "0;1;2\n042;Alpha;1996\n043;Beta;2002\n"
    done = load("catalog", text, header=["movie_id", "title", "year"])
    assert (done.rows, titles(empty_store)) == (2, ["Alpha", "Beta"])
    text = "exported today\n\nmovie_id,title\n044,Gamma\n"
    assert load("catalog", text, name="u.csv", skip=2).created == 1


def test_rows_of_a_request_are_read_as_those_of_a_file(empty_store: GraphStore) -> None:
    table = [
        {"item_id": "1", "title": "A &amp; B", "genres": "['War', 'Noir']", "director": "N/A"},
        {"item_id": "1", "genres": "['Epic']"},
        {"item_id": "2", "title": "<b>C</b>", "genres": "[]", "year": "1,999"},
    ]
    domain = load_schema().domain("movies")
    done = upsert_items(empty_store, list(enumerate(table, 1)), domain, source="api")
    assert (done.tally.created, done.rejects) == (2, ())
    assert {name for _, _, name in facts(empty_store)} == {"War", "Noir", "Epic"}
    assert titles(empty_store) == ["A & B", "C"]
    assert rows(empty_store, "MATCH (i:Item {item_id: '2'}) RETURN i.year") == [[1999]]


def test_options_add_up_or_are_refused(
    command: Command, tmp_path: Path, empty_store: GraphStore
) -> None:
    path = write_rows(tmp_path / "t.csv", films(star1=["Ann"], star2=["Bob"]))
    given = ("ingest", "catalog", path, "--domain", "movies")
    twice = ("--relation", "STARS=star1", "--relation", "STARS=star2")
    assert command(*given, *twice)[0] == 0
    assert named(empty_store, "0") == {"Ann", "Bob"}
    code, _, shown = command(*given, "--column", "title=star1", "--column", "title=star2")
    assert (code, "given twice" in shown) == (2, True)


def test_a_command_fails_when_most_rows_were_set_aside(command: Command, tmp_path: Path) -> None:
    films_path = write_rows(tmp_path / "f.csv", films(year=[1990]))
    table = [{"user_id": "u", "item_id": str(n)} for n in range(3)]
    views = write_rows(tmp_path / "v.csv", table)
    assert command("ingest", "catalog", films_path, "--domain", "movies")[0] == 0
    code, shown, error = command("ingest", "interactions", views, "--domain", "movies")
    assert (code, "3 rows: 1 created" in shown, "most rows were set aside" in error) == (
        3,
        True,
        True,
    )


def test_every_option_of_a_source_is_one_of_the_command(
    command: Command, tmp_path: Path, empty_store: GraphStore
) -> None:
    text = "made today\nuser_id,item_id,event,time\nu,1,gaze,31.12.15\nu,2,n.b.,1.1.16\n"
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    options = ("--kind", "gaze=click", "--at-format", "%d.%m.%y", "--skip", "1", "--null", "n.b.")
    more = ("--namespace", "shop", "--create-items", "--unquoted")
    code, shown, _ = command("ingest", "interactions", path, "--domain", "movies", *options, *more)
    assert code == 0, shown
    query = "MATCH ()-[x:INTERACTED]->(i) RETURN i.item_id, x.kind ORDER BY i.item_id"
    assert rows(empty_store, query) == [["shop:1", "click"], ["shop:2", "view"]]


def test_a_pipeline_names_them_too(
    command: Command, tmp_path: Path, empty_store: GraphStore
) -> None:
    write_rows(tmp_path / "films.csv", PEOPLE)
    (tmp_path / "p.toml").write_text(
        """
name = "p"
domain = "movies"
stages = ["ingest"]
[[sources]]
kind = "catalog"
path = "films.csv"
nulls = []
relations = { DIRECTED_BY = { name = "director", id = "director_id" }, STARS = ["actors:|"] }
""",
        encoding="utf-8",
    )
    code, shown, _ = command("run", tmp_path / "p.toml")
    assert code == 0, shown
    assert len(rows(empty_store, "MATCH (e:Person {name: 'Sam Lee'}) RETURN e.entity_id")) == 3


def test_a_description_may_be_a_list_of_texts(load_rows: LoadRows, empty_store: GraphStore) -> None:
    load_rows("catalog", films(description=["['One &amp; all.', 'Two.']", "[Chorus] sings"]))
    found = rows(empty_store, "MATCH (i:Item) RETURN i.description ORDER BY i.item_id")
    assert found == [["One & all.\n\nTwo."], ["[Chorus] sings"]]


def test_a_run_fails_when_most_rows_were_set_aside(
    command: Command, tmp_path: Path, empty_store: GraphStore
) -> None:
    write_rows(tmp_path / "films.csv", films(year=[1990]))
    write_rows(tmp_path / "views.csv", [{"user_id": "u", "item_id": str(n)} for n in range(3)])
    (tmp_path / "p.toml").write_text(
        """
name = "p"
domain = "movies"
stages = ["ingest"]
sources = [{ kind = "catalog", path = "films.csv" }, { kind = "interactions", path = "views.csv" }]
""",
        encoding="utf-8",
    )
    code, shown, error = command("run", tmp_path / "p.toml")
    assert (code, "2 rows set aside" in shown, "2 of 3 of" in error) == (3, True, True)
