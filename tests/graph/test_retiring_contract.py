"""Every engine retires and restores alike."""

from __future__ import annotations

from pathlib import Path

from kgrec.data.sources import Source
from kgrec.graph.setup import count_graph
from kgrec.graph.store import GraphStore
from kgrec.stages.ingest import ingest, prepare
from kgrec.stages.retiring.restore import count_orphans, list_retired, restore, sweep


def test_every_engine_retires_and_restores(graph: GraphStore, tmp_path: Path) -> None:
    def load(kind: str, text: str, name: str) -> int:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        given = {"kind": kind, "path": path, "complete": True, "max_retired": 0.6}
        source = Source.model_validate(given)
        prepared = prepare(source, "movies", cache=tmp_path)
        return ingest(graph, prepared, home=tmp_path).retired

    films = "movie_id,title,genres\n1,Alien,Horror|Sci-Fi\n2,Heat,Crime\n3,Up,Comedy\n"
    ratings = "user_id,movie_id,rating\nann,1,5\nann,2,4\nbob,1,3\n"
    load("catalog", films, "films.csv")
    load("interactions", ratings, "ratings.csv")
    before = count_graph(graph)
    assert load("interactions", ratings[: ratings.index("bob")], "ratings.csv") == 1
    assert load("catalog", films[: films.index("2,")] + "3,Up,\n", "films.csv") == 1
    left = count_graph(graph)
    assert (left.nodes["Item"], left.nodes["Entity"]) == (2, 2)
    assert left.relations == {"HAS_GENRE": 2, "INTERACTED": 1}
    assert [(one.items, one.ties, one.interactions) for one in list_retired(graph)] == [
        (0, 0, 1),
        (1, 2, 1),
    ]
    restore(graph)
    restore(graph)
    after = count_graph(graph)
    kept = {name: count for name, count in before.nodes.items() if name != "Run"}
    assert {name: after.nodes.get(name) for name in kept} == kept
    assert after.relations == before.relations
    assert count_orphans(graph) == 0
    graph.write("ingest/create_entities", {"entity_type": "Genre"}, rows=[ORPHAN])
    assert sweep(graph).orphans == 1


ORPHAN = {"entity_id": "Genre:nothing", "name": "Nothing"}
