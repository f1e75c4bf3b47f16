"""Triples as catalogues: one row an item, predicates as columns, mapped, guessed or counted."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from small_tables import Command, Load

from kgrec.data.origins.opening import open_origin
from kgrec.data.origins.triples.reading import Triple, read_triples
from kgrec.data.sources import Source
from kgrec.data.tables import TableFormat
from kgrec.errors import ConfigError, DataError
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.stages.ingest import prepare

TURTLE = """
@prefix ex: <http://films.example/> .
@prefix o: <http://films.example/ontology/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
ex:Alien a o:Movie ; rdfs:label "Alien"@en, "Alien, le huitième passager"@fr ;
    o:director ex:Ridley_Scott ; o:starring ex:Weaver, ex:Hurt ; o:year 1979 ;
    rdfs:comment "A crew meets a guest."@en ; o:runtime "117"^^xsd:integer .
ex:Heat a o:Movie ; rdfs:label "Heat" ; o:director ex:Mann ; o:year 1995 ; o:gross 187.4 .
ex:Ran a o:Movie ; rdfs:label "乱"@ja, "Ran"@en-GB ; o:director [ rdfs:label "Akira Kurosawa" ] .
ex:Weaver a o:Person ; rdfs:label "Sigourney Weaver"@en ; o:born 1949 .
ex:Mann a o:Person ; rdfs:label "Michael Mann"@de .
ex:Fiorentino o:knownFor ex:Heat ; rdfs:label "Linda Fiorentino" .
"""
ROWS = [
    {
        "item_id": "Alien",
        "title": "Alien",
        "director": {"name": "Ridley Scott", "id": "http://films.example/Ridley_Scott"},
        "starring": [
            {"name": "Hurt", "id": "http://films.example/Hurt"},
            {"name": "Sigourney Weaver", "id": "http://films.example/Weaver"},
        ],
        "year": 1979,
        "description": "A crew meets a guest.",
        "runtime": 117,
    },
    {
        "item_id": "Heat",
        "title": "Heat",
        "director": {"name": "Michael Mann", "id": "http://films.example/Mann"},
        "year": 1995,
        "gross": 187.4,
        "knownFor_of": {"name": "Linda Fiorentino", "id": "http://films.example/Fiorentino"},
    },
    {"item_id": "Ran", "title": "Ran", "director": {"name": "Akira Kurosawa"}},
]
BASE = "http://films.example/"


def ntriples() -> str:
    rdflib = pytest.importorskip("rdflib")
    return str(rdflib.Graph().parse(data=TURTLE, format="turtle").serialize(format="nt"))


def rows(path: Path, **triples: Any) -> list[dict[str, Any]]:
    source = Source.model_validate({"kind": "catalog", "path": path, "triples": triples})
    domain = load_schema().domain("movies")
    table = open_origin(source, domain, cache=path.parent)
    found = []
    for _, cells in table.rows(lambda *_: None):
        for name, cell in cells.items():
            if isinstance(cell, list):
                cells[name] = sorted(cell, key=str)
            elif isinstance(cell, dict) and cell["id"].startswith("_:"):
                cells[name] = {"name": cell["name"]}
        found.append(cells)
    return found


@pytest.mark.parametrize("name", ["films.ttl", "films.nt", "films.nt.gz"])
def test_turtle_and_ntriples_are_the_same_rows(tmp_path: Path, name: str) -> None:
    pytest.importorskip("rdflib")
    text = (TURTLE if name.endswith("ttl") else ntriples()).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert rows(tmp_path / name, base=BASE) == ROWS
    french = rows(tmp_path / name, base=BASE, language="fr")
    assert [row["title"] for row in french] == ["Alien, le huitième passager", "Heat", "Ran"]
    people = rows(tmp_path / name, type="http://films.example/ontology/Person")
    assert {row["title"] for row in people} == {"Sigourney Weaver", "Michael Mann"}


def test_lines_of_ntriples(tmp_path: Path) -> None:
    lines = [
        (r'<http://a/s> <http://a/p> "x \"y\" \u00e9\U0001F600\n" . # word', 'x "y" é😀\n', ""),
        ('_:b1 <http://a/p> "Haus"@de-AT .', "Haus", "@de-at"),
        ("<http://a/s>\t<http://a/p>\t<http://a/o> <http://a/graph> .", "http://a/o", "iri"),
        ('<http://a/s><http://a/p>"1"^^<http://a/t>.', "1", "http://a/t"),
        ("<http://a/s> <http://a/p> _:b.2 .", "_:b.2", "blank"),
    ]
    bad = ["<http://a/s> <http://a/p> .", '<http://a/s> <http://a/p> "open .', "word", "\udcff"]
    path = tmp_path / "t.nt"
    text = "# head\n\n" + "\n".join([*(line for line, _, _ in lines), *bad]) + "\n"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    aside: list[tuple[int, object, str]] = []
    found = list(read_triples(path, "ntriples", TableFormat(), lambda *one: aside.append(one)))
    assert [(one.object, one.kind) for one in found] == [(value, kind) for _, value, kind in lines]
    assert found[1].subject == "_:b1"
    assert [line for line, _, _ in aside] == [8, 9, 10, 11]
    assert isinstance(found[0], Triple)


def test_predicates_are_mapped_guessed_or_listed(
    command: Command, tmp_path: Path, empty_store: GraphStore
) -> None:
    path = tmp_path / "films.nt"
    path.write_text(ntriples() + "broken\n")
    options = [
        *("--domain", "movies", "--base", BASE),
        *("--predicate", f"{BASE}ontology/starring=STARS"),
        *("--predicate", f"^{BASE}ontology/knownFor=STARS"),
    ]
    code, out, _ = command("ingest", "catalog", path, *options, "--dry-run")
    assert code == 0
    shown = {line.split()[0]: line for line in out.splitlines() if line.startswith("  ")}
    assert "STARS → " in shown["stars"]
    assert "DIRECTED_BY → " in shown["director"]
    assert "not used" in shown["gross"]
    assert f"1 triples of {BASE}ontology/gross" in shown["gross"]
    code, out, _ = command("ingest", "catalog", path, *options, "--json")
    assert code == 0
    done = json.loads(out)
    assert (done["created"], done["facts"], done["rejected"]) == (3, 6, 1)
    assert done["reasons"] == {"not a line of N-Triples": 1}
    query = "MATCH (i:Movie)-[f]->(e:Entity) RETURN i.title AS t, type(f) AS r, e.name AS n"
    found = sorted(tuple(row.values()) for row in empty_store.query(query, limit=20).rows)
    assert found == [
        ("Alien", "DIRECTED_BY", "Ridley Scott"),
        ("Alien", "STARS", "Hurt"),
        ("Alien", "STARS", "Sigourney Weaver"),
        ("Heat", "DIRECTED_BY", "Michael Mann"),
        ("Heat", "STARS", "Linda Fiorentino"),
        ("Ran", "DIRECTED_BY", "Akira Kurosawa"),
    ]
    path.write_text("".join(line for line in ntriples().splitlines(True) if "Ran" not in line))
    complete = ["--complete", "--max-retired", "1", "--json"]
    code, out, _ = command("ingest", "catalog", path, *options, *complete)
    assert code == 0
    assert json.loads(out)["retired"] == 1


def test_a_domain_file_maps_predicates(tmp_path: Path) -> None:
    domain = tmp_path / "films.toml"
    domain.write_text(f"""
name = "films"
uses = ["movies"]
item_label = "Movie"
[columns]
STARS = ["{BASE}ontology/starring"]
""")
    path = tmp_path / "films.nt"
    path.write_text(ntriples())
    source = Source.model_validate({"kind": "catalog", "path": path})
    plan = prepare(source, str(domain), cache=tmp_path).plan
    assert ("stars", "STARS") in {(one.column, one.relation) for one in plan.relations}


KG = {
    "films.kg": "head_id:token\trelation_id:token\ttail_id:token\n"
    "m.1\tfilm.film.director\tm.8\nm.1\tfilm.film.genre\tm.9\nm.2\tfilm.film.genre\tm.9\n"
    "m.7\tfilm.actor.film\tm.2\nm.1\n",
    "films.link": "item_id:token\tentity_id:token\n10\tm.1\n20\tm.2\n",
    "films.entity": "entity_id:token\tname:token_seq\n"
    "m.1\tAlien\nm.2\tHeat\nm.7\tAl Pacino\nm.8\tRidley Scott\nm.9\tDrama\n",
}


def test_files_of_recbole_are_a_catalogue(load: Load, tmp_path: Path) -> None:
    folder = tmp_path / "recbole"
    folder.mkdir()
    (tmp_path / "t.entity").write_text(KG["films.entity"])
    for name, text in KG.items():
        (folder / name).write_text(text)
    assert rows(folder / "films.kg")[1] == {
        "item_id": "20",
        "title": "Heat",
        "genre": {"name": "Drama", "id": "m.9"},
        "film_of": {"name": "Al Pacino", "id": "m.7"},
    }
    (folder / "films.link").rename(folder / "other.link")
    triples = {
        "links": str(folder / "other.link"),
        "predicates": {"^film.actor.film": "STARS", "film.film.director": "DIRECTED_BY"},
    }
    done = load("catalog", KG["films.kg"], "t.kg", triples=triples)
    assert (done.created, done.facts, done.rejected) == (2, 4, 1)


@pytest.mark.parametrize(
    ("content", "triples", "error", "reason"),
    [
        (TURTLE + "broken", {}, DataError, "not Turtle"),
        (TURTLE, {"type": "Book"}, DataError, "which subjects are items"),
        (TURTLE, {"predicates": {"http://a/b": "MADE_UP"}}, ConfigError, "no such relation"),
        (TURTLE, {"links": "none.link"}, DataError, "no such file"),
    ],
)
def test_what_cannot_be_read_is_a_clear_error(
    tmp_path: Path, content: str, triples: dict[str, Any], error: type[Exception], reason: str
) -> None:
    pytest.importorskip("rdflib")
    (tmp_path / "films.ttl").write_text(content)
    source = {"kind": "catalog", "path": tmp_path / "films.ttl", "triples": triples}
    with pytest.raises(error, match=reason):
        prepare(Source.model_validate(source), "movies", cache=tmp_path)


def test_ntriples_take_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "many.nt"
    kind = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://a/Movie>"
    with path.open("w") as file:
        for n in range(20_000):
            file.write(f'<http://a/{n}> {kind} .\n<http://a/{n}> <http://a/t> "{"x" * 500}" .\n')
            file.write(f"<http://a/{n}> <http://a/director> <http://a/d{n % 99}> .\n")
    tracemalloc.start()
    try:
        source = Source.model_validate({"kind": "catalog", "path": path})
        table = open_origin(source, load_schema().domain("movies"), cache=tmp_path)
        assert sum(1 for _ in table.rows(lambda *_: None)) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 << 20
