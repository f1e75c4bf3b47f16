"""Kinds of cells and tables as people have them: further forms of each, alike in every format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from formats import EVERY_FORMAT, write_rows

from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.rejects import Rejects
from kgrec.data.sources import Source
from kgrec.progress import SILENT
from kgrec.stages.ingest import prepare
from kgrec.stages.loading.reading import TableReading

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Read:
    """What a table holds: facts as item, relation and entity; properties by item; interactions."""

    facts: set[tuple[str, str, str]]
    properties: dict[str, dict[str, Any]]
    interactions: list[tuple[str, str, str, float, int]]
    reasons: dict[str, int]
    nulls: int
    remarks: dict[str, str]


def read(path: Path, kind: str, **options: Any) -> Read:
    source = Source.model_validate({"kind": kind, "path": path, **options})
    prepared = prepare(source, "movies", cache=path.parent)
    rejects = Rejects(None)
    reading = TableReading(prepared, rejects, 0, SILENT)
    found: list[tuple[str, str, str, float, int]] = []
    items = []
    if kind == "interactions":
        with InteractionSpool() as spool:
            reading.interactions(spool)
            for batch in spool.by_user(1_000, 1_000):
                rows = (one for _, one in batch.records())
                found += [(r.user_id, r.item_id, r.kind, r.value, r.at) for r in rows]
    else:
        parse = reading.parser.item
        with SILENT.task("") as task:
            items = [one for _, one in reading.records(task, parse, lambda one: one.item_id)]
    return Read(
        {(one.item_id, f.relation, f.entity_id) for one in items for f in one.facts},
        {one.item_id: dict(one.properties) for one in items},
        sorted(found),
        dict(rejects.reasons),
        reading.parser.nulls.total(),
        prepared.plan.remarks,
    )


def in_every_format(folder: Path, kind: str, rows: Rows, **options: Any) -> Read:
    """Read rows in all formats, which must agree in all but the words for it."""
    found = [
        read(write_rows(folder / f"t.{suffix}", rows), kind, **options) for suffix in EVERY_FORMAT
    ]
    for suffix, one in zip(EVERY_FORMAT[1:], found[1:], strict=True):
        for name in ("facts", "properties", "interactions", "reasons"):
            assert getattr(one, name) == getattr(found[0], name), suffix
    return found[0]


def films(**columns: Sequence[Any]) -> list[dict[str, Any]]:
    count = len(next(iter(columns.values())))
    return [
        {"movie_id": str(n), "title": f"Film {n}"} | {k: v[n] for k, v in columns.items()}
        for n in range(count)
    ]


def names(found: Read) -> set[str]:
    return {entity.partition(":")[2] for _, _, entity in found.facts}


TWICE = json.dumps(json.dumps(["War", "Noir"]))
LISTS: dict[str, list[Any]] = {
    "numpy": ["['War' 'Noir']", "['Epic']", "[]"],
    "java": ["[War, Noir]", "[Epic]", "[]"],
    "weights": ["{'War': 54, 'Noir': 12, 'Camp': 0}", "{'Epic': 3}"],
    "pairs": ["[('War', 1), ('Noir', 2), ('Camp', 0)]", "[['Epic', 0.5]]"],
    "frozen": ["frozenset({'War', 'Noir', 'Epic'})", "frozenset()"],
    "written twice": [TWICE, json.dumps(json.dumps(["Epic"]))],
    "wrapped": ['{"results": [{"title": "War"}, {"title": "Noir"}]}', '[{"title": "Epic"}]'],
    "elements": ["<genre>War</genre><genre>Noir</genre>", '<genre id="3">Epic</genre>'],
    "points of a list": ["- War\n- Noir", "- Epic"],
    "signs before points": ["• War • Noir", "• Epic"],
    "lines of HTML": ["War<br/>Noir", "<ul><li>Epic</li><li>War</li></ul>"],
    "quotes": ['"War"; "Noir"', '"Epic"'],
    "hstore": ['"War"=>"2", "Noir"=>"1", "Camp"=>NULL', '"Epic"=>"1"'],
    "bytes": ["b'War'", "b'Noir'", "b'Epic'"],
    "lists": [["War", "Noir"], ["Epic"], []],
    "objects": [[{"id": 1, "name": "War"}, {"id": 2, "name": "Noir"}], [{"id": 3, "name": "Epic"}]],
}


@pytest.mark.parametrize("form", list(LISTS))
def test_lists_in_cells(tmp_path: Path, form: str) -> None:
    table = films(genres=LISTS[form])
    found = [read(write_rows(tmp_path / f"t.{s}", table), "catalog") for s in EVERY_FORMAT]
    for suffix, one in zip(EVERY_FORMAT, found, strict=True):
        assert names(one) == {"war", "noir", "epic"}, suffix
        assert one.reasons == {}


NOTHING = ["(null)", "<null>", "#VALUE!", "n/d", "???", "[unknown]", "set()", "\u200b", "k. A."]


def test_further_words_for_nothing(tmp_path: Path) -> None:
    known = [f"Ann {n}" for n in range(len(NOTHING) - 2)]
    table = films(director=[*NOTHING, *known], year=[*NOTHING, *("1990" for _ in known)])
    found = in_every_format(tmp_path, "catalog", table)
    assert names(found) == {name.casefold() for name in known}
    assert (found.nulls, found.reasons) == (2 * len(NOTHING), {})
    zero = [{"user_id": "u", "movie_id": "1", "timestamp": "0000-00-00 00:00:00"}]
    zero.append(zero[0] | {"movie_id": "2", "timestamp": "2015-12-31 00:00:00"})
    seen = in_every_format(tmp_path, "interactions", zero)
    assert [at for *_, at in seen.interactions] == [0, 1_451_520_000_000]


LONG: dict[str, tuple[Rows, dict[str, Any]]] = {
    "between other items": (
        [{"movie_id": n % 2, "title": f"Film {n % 2}", "genre": g} for n, g in enumerate("abab")]
        + [{"movie_id": 0, "title": "Film 0", "genre": "c"}],
        {},
    ),
    "by role": (
        [
            {"tconst": "0", "ordering": 1, "primaryName": "A", "category": "director"},
            {"tconst": "1", "ordering": 1, "primaryName": "B", "category": "director"},
            {"tconst": "0", "ordering": 2, "primaryName": "X", "category": "writer"},
            {"tconst": "0", "ordering": 3, "primaryName": "C", "category": "director"},
        ],
        {
            "relations": {
                "DIRECTED_BY": {"name": "primaryName", "where": {"category": "director"}},
            }
        },
    ),
    "all pairs of two columns": (
        [
            {"movie_id": 0, "title": "Film", "genre": genre, "keywords": word}
            for genre in ("a", "c")
            for word in ("x", "y")
        ]
        + [{"movie_id": 1, "title": "Film", "genre": "b", "keywords": None}],
        {},
    ),
}


@pytest.mark.parametrize("form", list(LONG))
def test_rows_of_one_value_each(tmp_path: Path, form: str) -> None:
    table, options = LONG[form]
    found = in_every_format(tmp_path, "catalog", table, **options)
    pairs = {(item, entity.partition(":")[2]) for item, _, entity in found.facts}
    assert pairs >= {("0", "a"), ("0", "c"), ("1", "b")}
    assert not any(name == "x" and form == "by role" for _, name in pairs)


TEXTS = {
    "[b]Ann[/b] met [i]Bob[/i]. [url=http://x]More[/url]": "Ann met Bob. More",
    "**Ann** met [Bob](https://x.example/bob). 2 ** 3 and [REC](live)": (
        "Ann met Bob. 2 ** 3 and [REC](live)"
    ),
    "<![CDATA[&lt;p&gt;Ann met Bob.&lt;/p&gt;]]>": "Ann met Bob.",
    "<style>p {}</style><!-- x --><P CLASS=a>Ann</P ><ul><li>Bob<li>Cy</ul>": "Ann\n\n- Bob\n- Cy",
}


def test_markup(tmp_path: Path) -> None:
    table = films(description=list(TEXTS), director=["[b]Ann[/b]", "**Bob**", "<i>Cy</i>", "Dee"])
    found = in_every_format(tmp_path, "catalog", table)
    assert [one["description"] for one in found.properties.values()] == list(TEXTS.values())
    assert names(found) == {"ann", "bob", "cy", "dee"}


WHOLE: dict[str, list[tuple[Any, Any]]] = {
    "floats": [(1.0, 862.0), (2.0, 8844.0)],
    "two zeros": [("1.00", "862.00"), ("2.00", "8844.00")],
    "beside whole ones": [("1", "862"), ("2.0", "8844.0")],
    "in spaces": [(" 1.0", "862.0 "), ("2.0 ", " 8844.0")],
}


@pytest.mark.parametrize("form", list(WHOLE))
def test_whole_floats_as_ids(tmp_path: Path, form: str) -> None:
    table = [{"user_id": user, "movie_id": item, "rating": 4} for user, item in WHOLE[form]]
    found = in_every_format(tmp_path, "interactions", table)
    assert [row[:2] for row in found.interactions] == [("1", "862"), ("2", "8844")]


@pytest.mark.parametrize("id_", ["é" * 512, "a/b?c=d#e" * 50, "漢" * 512])
def test_long_ids(tmp_path: Path, id_: str) -> None:
    found = in_every_format(tmp_path, "catalog", [{"movie_id": id_, "title": "Film"}])
    assert list(found.properties) == [id_]
    longer = [{"movie_id": id_ + "x" * 512, "title": "Film"}]
    found = in_every_format(tmp_path, "catalog", longer)
    assert found.reasons == {"item_id is longer than 512 characters": 1}


def test_titles_that_hold_nothing(tmp_path: Path) -> None:
    table = [
        {"movie_id": str(n), "title": t} for n, t in enumerate(["<b></b>", "\u200b", " ", "A"])
    ]
    found = in_every_format(tmp_path, "catalog", table)
    assert found.properties == {"0": {}, "1": {}, "2": {}, "3": {"title": "A"}}


COLUMNS: dict[str, tuple[dict[str, list[Any]], dict[str, Any]]] = {
    "numbered": ({"star1": ["Ann", "Cy"], "star2": ["Bob", ""]}, {}),
    "numbered inside": ({"actor_1_name": ["Ann", "Cy"], "actor_2_name": ["Bob", None]}, {}),
    "one is a list": (
        {"lead": ["Ann", "Cy"], "others": [["Bob", "Ann"], []]},
        {"relations": {"STARS": ["lead", "others"]}},
    ),
    "cut at other marks": (
        {"a": ["Ann;Bob", "Cy"], "b": ["Bob|Ann", "N/A"]},
        {"relations": {"STARS": ["a:;", "b:|"]}},
    ),
}


@pytest.mark.parametrize("form", list(COLUMNS))
def test_several_columns_of_one_relation(tmp_path: Path, form: str) -> None:
    columns, options = COLUMNS[form]
    found = in_every_format(tmp_path, "catalog", films(**columns), **options)
    assert found.facts == {
        ("0", "STARS", "Person:ann"),
        ("0", "STARS", "Person:bob"),
        ("1", "STARS", "Person:cy"),
    }


TIMES = [
    "[31/Dec/2015:23:59:58 +0000]",
    "/Date(1451606398000)/",
    "1451606398000000000",
    "1.451606398e+12",
    "Thu Dec 31 23:59:58 +0000 2015",
    "Thursday, December 31, 2015 11:59:58 PM",
    "2015_12_31 23:59:58",
    "20151231T235958Z",
]


@pytest.mark.parametrize("form", TIMES)
def test_times(tmp_path: Path, form: str) -> None:
    table = [{"user_id": "u", "movie_id": "1", "timestamp": form}]
    found = in_every_format(tmp_path, "interactions", table)
    assert [at for *_, at in found.interactions] == [1_451_606_398_000]


PEOPLE: dict[str, list[str]] = {
    "Last, First": ["King, Stephen", "Christie, Agatha", "Tolkien, J.R.R."],
    "titles": ["Ann Lee, Ph.D.", "Bob Roe, M.D.", "Cy Poe"],
    "bands": ["Tyler, The Creator", "Earth, Wind & Fire", "AC/DC"],
}


@pytest.mark.parametrize("form", list(PEOPLE))
def test_commas_in_names(tmp_path: Path, form: str) -> None:
    found = in_every_format(tmp_path, "catalog", films(director=PEOPLE[form]))
    assert names(found) == {name.casefold() for name in PEOPLE[form]}
    assert "are not cut" in found.remarks["director"]


def test_commas_in_names_between_other_marks(tmp_path: Path) -> None:
    cells = ["Sheen, Martin; Brando, Marlon", "Lee, Spike", "Coen, Joel; Coen, Ethan"]
    found = in_every_format(tmp_path, "catalog", films(director=cells))
    assert len(names(found)) == 5
    assert "brando, marlon" in names(found)


IDS: dict[str, tuple[list[Any], list[Any]]] = {
    "floats": (["Sam", "Sam", "Sam"], [7.0, 7.0, None]),
    "lists as texts": (["['Sam', 'Ann']", "['Sam']", "Sam"], ["[7, 9]", "[7]", ""]),
    "words for nothing": (["Sam", "Sam", "Sam"], ["7", "7", "N/A"]),
    "cut": (["Sam|Ann", "Sam", "Sam"], ["7|9", "7", "-"]),
}


@pytest.mark.parametrize("form", list(IDS))
def test_ids_beside_names(tmp_path: Path, form: str) -> None:
    cells, ids = IDS[form]
    relations = {"DIRECTED_BY": {"name": "director", "id": "director_id"}}
    table = films(director=cells, director_id=ids)
    found = in_every_format(tmp_path, "catalog", table, relations=relations)
    sams = {(item, entity) for item, _, entity in found.facts if entity != "Person:9"}
    assert sams == {("0", "Person:7"), ("1", "Person:7"), ("2", "Person:sam")}
    assert found.reasons == {}


RATINGS: dict[str, list[Any]] = {
    "of five": ["4/5", "1 / 5"],
    "stars": ["★★★★☆", "★☆☆☆☆"],
    "out of five": ["4.0 out of 5 stars", "1.0 out of 5 stars"],
    "decimal commas": ["4,0", "1,0"],
}


@pytest.mark.parametrize("form", list(RATINGS))
def test_ratings(tmp_path: Path, form: str) -> None:
    values = RATINGS[form]
    table = [{"user_id": "u", "movie_id": str(n), "overall": v} for n, v in enumerate(values)]
    found = in_every_format(tmp_path, "interactions", table)
    assert [row[2:4] for row in found.interactions] == [("rating", 4.0), ("rating", 1.0)]


@pytest.mark.parametrize("values", [[True, False], [1, 0], ["up", "down"]])
def test_likes_are_said_to_be_unused_and_can_be_used(tmp_path: Path, values: list[Any]) -> None:
    table = [{"user_id": "u", "movie_id": str(n), "liked": v} for n, v in enumerate(values)]
    found = in_every_format(tmp_path, "interactions", table)
    assert "as if they liked it" in found.remarks["liked"]
    kinds = {str(values[0]): "like", str(values[1]): "dislike"}
    found = in_every_format(tmp_path, "interactions", table, columns={"kind": "liked"}, kinds=kinds)
    assert [row[2] for row in found.interactions] == ["like", "dislike"]


def test_long_texts_are_kept_whole(tmp_path: Path) -> None:
    texts = ["word " * 240_000, "line\n" * 30_000, "<p>" + "word " * 30_000]
    found = in_every_format(tmp_path, "catalog", films(description=texts))
    kept = [len(one["description"]) for one in found.properties.values()]
    assert kept == [1_199_999, 149_999, 149_999]


HEADERS = {
    "V1 to V3": "V1,V2,V3\n",
    "column_0 to column_2": "column_0,column_1,column_2\n",
    "numbers": "1,2,3\n",
    "the names again": "movie_id,title,year\n",
    "none": "",
}


@pytest.mark.parametrize("form", list(HEADERS))
@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_lines_of_names_where_others_are_given(tmp_path: Path, form: str, mark: str) -> None:
    text = (HEADERS[form] + "042,Alpha,1996\n043,Beta,2002\n").replace(",", mark)
    path = tmp_path / ("t.tsv" if mark == "\t" else "t.csv")
    path.write_text(text, encoding="utf-8")
    found = read(path, "catalog", header=["movie_id", "title", "year"])
    assert found.properties == {
        "042": {"title": "Alpha", "year": 1996},
        "043": {"title": "Beta", "year": 2002},
    }


QUOTED = {
    "all cells": '"movie_id"\t"title"\n"1"\t"Say ""hi"""\n"2"\t"Two\nlines"\n',
    "a tab inside": 'movie_id\ttitle\n1\t"Say\t""hi"""\n2\t"Two\nlines"\n',
    "ends of Windows": 'movie_id\ttitle\r\n1\t"Say ""hi"""\r\n2\t"Two\r\nlines"\r\n',
    "a line for Excel": 'sep=;\nmovie_id;title\n1;"Say ""hi"""\n2;"Two\nlines"\n',
    "quotes that close late": 'movie_id\ttitle\n1\t"Say ""hi"""\n2\t"Two' + "\n" * 300 + 'lines"\n',
}


@pytest.mark.parametrize("form", list(QUOTED))
def test_quotes(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("t.csv" if "sep" in QUOTED[form] else "t.tsv")
    path.write_bytes(QUOTED[form].encode())
    found = read(path, "catalog")
    titles = {item: one["title"] for item, one in found.properties.items()}
    assert titles == {"1": 'Say "hi"', "2": "Two lines"}
