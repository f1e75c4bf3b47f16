"""Facts of every kind are written, read and exported the same on every engine."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pyarrow.parquet as pq
import pytest

from kgrec.data.dataset import Dataset, LinkType
from kgrec.data.records import LinkRecord, Node
from kgrec.data.selection import Selection
from kgrec.export.networkx import to_networkx, write_node_link
from kgrec.export.parquet import write_parquet
from kgrec.graph.pages import relation_types
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.retrieval.knowledge_path import KnowledgePath
from kgrec.retrieval.meetings import best_paths
from kgrec.retrieval.paths import PathConfig, read_paths
from kgrec.retrieval.reasons import path_sentence
from kgrec.retrieval.snapshot import read_snapshot
from kgrec.stages.loading.facts import fact_changes
from kgrec.stages.train import data_fingerprint

ANN, BOB, LEE = (Node.entity("Person", name) for name in ("Ann", "Bob", "Lee"))
ROME, ITALY, MARS, MOON = (Node.entity("Place", n) for n in ("Rome", "Italy", "Mars", "Moon"))
ONE, TWO, OTHER = (Node("item", name) for name in ("1", "2", "x"))
USER, FRIEND = Node("user", "u"), Node("user", "v")
LINKS = [
    LinkRecord(ONE, "DIRECTED_BY", ANN),
    LinkRecord(TWO, "DIRECTED_BY", BOB, 0.5),
    LinkRecord(ANN, "BORN_IN", ROME, 0.875, "table:births"),
    LinkRecord(ROME, "LOCATED_IN", ITALY),
    LinkRecord(MARS, "LOCATED_IN", MOON),
    LinkRecord(TWO, "SEQUEL_OF", ONE, 0.75),
    LinkRecord(LEE, "PRAISES", ONE, 0.25),
    LinkRecord(USER, "LIKES", ITALY),
    LinkRecord(USER, "LIKES", MARS),
    LinkRecord(USER, "FOLLOWS", FRIEND),
]


@pytest.fixture
def linked(graph: GraphStore) -> GraphStore:
    """Two films whose facts lead further, a third of another domain, and two users."""
    graph.write("ingest/create_items", {"item_type": "Movie"}, items=["1", "2"])
    graph.write("ingest/create_items", {"item_type": "Artist"}, items=["x"])
    users = [
        {"user_id": "u", "properties": {"age": 30, "city": "Oslo"}},
        {"user_id": "v", "properties": {"city": "Rome"}},
    ]
    graph.write("ingest/upsert_users", rows=users)
    graph.write_all(fact_changes(graph, LINKS, "run", withdraw={}).steps)
    return graph


def edges(data: Dataset) -> set[tuple[str, str, str, float]]:
    """Facts and links of a data set by id."""
    ids = {"user": data.users, "item": data.items, "entity": data.entities}
    facts, links = data.facts, data.links
    found = {
        (data.items.id(i), facts.relations[r], data.entities.id(e), float(c))
        for i, r, e, c in zip(
            facts.item, facts.relation, facts.entity, facts.confidence, strict=True
        )
    }
    for h, r, t, c in zip(links.head, links.relation, links.tail, links.confidence, strict=True):
        head, relation, tail = links.types[r]
        found.add((ids[head].id(h), relation, ids[tail].id(t), float(c)))
    return found


def test_links_of_every_kind_reach_the_data_set(linked: GraphStore) -> None:
    data = read_dataset(linked, Selection(domain="movies"))
    assert edges(data) == {
        ("1", "DIRECTED_BY", "Person:ann", 1.0),
        ("2", "DIRECTED_BY", "Person:bob", 0.5),
        ("1", "PRAISES~", "Person:lee", 0.25),
        ("Person:ann", "BORN_IN", "Place:rome", 0.875),
        ("Place:rome", "LOCATED_IN", "Place:italy", 1.0),
        ("2", "SEQUEL_OF", "1", 0.75),
        ("u", "LIKES", "Place:italy", 1.0),
        ("u", "FOLLOWS", "v", 1.0),
    }
    # Mars and the Moon are tied to no film.
    assert set(data.entities.ids) == {
        "Person:ann",
        "Person:bob",
        "Person:lee",
        "Place:rome",
        "Place:italy",
    }
    assert data.entity_names == tuple(one.partition(":")[2].title() for one in data.entities.ids)
    assert set(data.links.types) == {
        LinkType("entity", "BORN_IN", "entity"),
        LinkType("entity", "LOCATED_IN", "entity"),
        LinkType("item", "SEQUEL_OF", "item"),
        LinkType("user", "LIKES", "entity"),
        LinkType("user", "FOLLOWS", "user"),
    }
    again = read_dataset(linked, Selection(domain="movies"))
    assert data_fingerprint(again) == data_fingerprint(data)
    assert (
        data.links.of("entity", "entity").tail.tolist()
        == data.entities.rows(["Place:rome", "Place:italy"]).tolist()
    )


def test_properties_of_users_are_typed_columns(linked: GraphStore) -> None:
    age, city = read_dataset(linked).user_columns
    assert (age.name, city.name) == ("age", "city")
    assert float(age.values[0]) == 30.0
    assert np.isnan(age.values[1])
    assert city.categories == ("Oslo", "Rome")
    assert city.values.tolist() == [0, 1]


def test_a_graph_without_links_is_read_as_ever(graph: GraphStore) -> None:
    graph.write("ingest/create_items", {"item_type": "Movie"}, items=["1", "2"])
    graph.write_all(fact_changes(graph, LINKS[:2], "run", withdraw={}).steps)
    data = read_dataset(graph)
    assert not len(data.links)
    assert data.links.types == ()
    assert data.facts.relations == ("DIRECTED_BY",)
    assert relation_types(graph).between("item", "entity")


def test_a_link_is_written_once_and_the_more_confident_source_stays(linked: GraphStore) -> None:
    again = fact_changes(linked, LINKS, "later", withdraw={})
    assert (again.steps, again.written) == ([], 0)
    weaker = LinkRecord(TWO, "SEQUEL_OF", ONE, 0.5, "other")
    assert fact_changes(linked, [weaker], "later", withdraw={}).steps == []
    surer = LinkRecord(TWO, "SEQUEL_OF", ONE, 1.0, "other")
    changes = fact_changes(linked, [surer], "later", withdraw={})
    assert (changes.created, changes.updated) == (0, 1)
    linked.write_all(changes.steps)
    assert ("2", "SEQUEL_OF", "1", 1.0) in edges(read_dataset(linked))


def test_a_link_that_its_source_no_longer_holds_is_withdrawn(linked: GraphStore) -> None:
    other = [LinkRecord(ANN, "BORN_IN", ITALY, 1.0, "table:births")]
    sources = {("entity", ANN.id): frozenset({"table:births"})}
    changes = fact_changes(linked, other, "later", withdraw=sources, ends=[("entity", "entity")])
    assert (changes.created, changes.withdrawn) == (1, 1)
    linked.write_all(changes.steps)
    born = {(one[0], one[2]) for one in edges(read_dataset(linked)) if one[1] == "BORN_IN"}
    assert born == {("Person:ann", "Place:italy")}


def test_exports_hold_links_with_both_ends(linked: GraphStore, tmp_path: Path) -> None:
    counts = write_parquet(linked, tmp_path, domain="movies")
    tables = {path.stem: pq.read_table(path).to_pylist() for path in tmp_path.glob("*.parquet")}
    assert counts == {name: len(rows) for name, rows in tables.items()}
    assert tables["SEQUEL_OF"] == [
        {"head_id": "2", "tail_id": "1", "confidence": 0.75, "source": "", "evidence": ""}
    ]
    [born] = tables["BORN_IN"]
    assert (born["head_id"], born["tail_id"]) == ("Person:ann", "Place:rome")
    [praise] = tables["PRAISES"]
    assert (praise["entity_id"], praise["item_id"]) == ("Person:lee", "1")
    assert {row["entity_id"] for row in tables["LIKES"]} == {"Place:italy", "Place:mars"}
    assert {row["user_id"]: row["city"] for row in tables["User"]} == {"u": "Oslo", "v": "Rome"}
    network = to_networkx(linked, domain="movies")
    path = tmp_path / "graph.json"
    write_node_link(network, path)
    again = nx.node_link_graph(json.loads(path.read_text()), edges="edges")
    assert again.edges["Item:2", "Item:1", "SEQUEL_OF"]["confidence"] == 0.75
    assert again.has_edge("User:u", "User:v", "FOLLOWS")
    assert again.has_edge("Entity:Place:rome", "Entity:Place:italy", "LOCATED_IN")
    assert again.number_of_edges() == len(LINKS)
    assert again.nodes["User:v"]["city"] == "Rome"


MORE = [
    LinkRecord(Node("item", "3"), "SET_IN", ROME, 0.5, "text", "rules", "set in Rome"),
    LinkRecord(Node("item", "4"), "DIRECTED_BY", BOB),
    LinkRecord(Node("item", "4"), "STARS", ANN),
    LinkRecord(Node("item", "4"), "SET_IN", ITALY),
]


@pytest.fixture
def films(linked: GraphStore) -> GraphStore:
    """Four films with titles, tied to each other by paths of one, two and three relations."""
    linked.write("ingest/create_items", {"item_type": "Movie"}, items=["3", "4"])
    named = [{"item_id": str(n), "properties": {"title": f"Film {n}"}} for n in range(1, 5)]
    linked.write("ingest/set_items", rows=named)
    linked.write_all(fact_changes(linked, MORE, "run", withdraw={}).steps)
    return linked


def found(store: GraphStore, history: str, item: str, **config: object) -> list[KnowledgePath]:
    titles = {str(n): f"Film {n}" for n in range(1, 5)}
    return read_paths(
        store,
        {history: titles[history]},
        {item: titles[item]},
        num_items=1000,
        config=PathConfig.model_validate(config),
    )


def test_paths_of_one_two_and_three_relations(films: GraphStore) -> None:
    [near] = found(films, "1", "2", max_hops=1)
    assert path_sentence(near) == "Film 2 is a sequel of Film 1"
    assert (near.hops, near.item.entity, near.history.entity_id) == (1, "Film 1", "2")
    assert near.weight == pytest.approx(math.log(1000) * 0.75)
    assert not near.steps[0].forward
    [shared] = found(films, "1", "4", max_hops=2)
    assert (shared.hops, shared.meeting, shared.degree) == (2, True, 2)
    assert (shared.history.relation, shared.item.relation) == ("DIRECTED_BY", "STARS")
    assert shared.weight == pytest.approx(math.log(500))
    assert [path.hops for path in found(films, "1", "3", max_hops=2)] == []
    [far] = found(films, "1", "3")
    assert path_sentence(far) == (
        "Film 1 was directed by Ann, Ann was born in Rome, and Film 3 is set in Rome"
    )
    # One film and one person lead to Rome.
    assert (far.degree, far.hops) == (2, 3)
    assert far.weight == pytest.approx(math.log(1000 / 2) * 0.875 * 0.5 * 0.5)
    assert [step.forward for step in far.steps] == [True, True, False]
    assert [step.node.type for step in far.steps[:2]] == ["Person", "Place"]
    assert far.item.evidence == far.steps[-1].evidence == "set in Rome"


def test_paths_lead_over_items_on_either_side(films: GraphStore) -> None:
    words = {path_sentence(path) for path in found(films, "1", "4")}
    assert words == {
        "Film 1 was directed by Ann, and Ann plays in Film 4",
        "Film 2 is a sequel of Film 1, Film 2 was directed by Bob, and Film 4 was directed by Bob",
    }
    back = {path_sentence(path) for path in found(films, "4", "1")}
    assert back == {
        "Ann plays in Film 4, and Film 1 was directed by Ann",
        "Film 4 was directed by Bob, Film 2 was directed by Bob, and Film 2 is a sequel of Film 1",
    }


def test_a_path_of_four_relations_is_found_when_asked_for(films: GraphStore) -> None:
    words = {path_sentence(path) for path in found(films, "1", "4", max_hops=4)}
    assert (
        "Film 1 was directed by Ann, Ann was born in Rome, Rome lies in Italy, "
        "and Film 4 is set in Italy"
    ) in words


def test_hubs_and_bounds_are_kept(films: GraphStore) -> None:
    assert found(films, "1", "3", max_degree=2)
    assert not found(films, "1", "3", max_degree=1)
    assert len(found(films, "1", "4", max_paths=1)) == 1
    assert not found(films, "1", "3", max_edges=1)
    assert read_paths(films, {}, {"1": "Film 1"}) == []


@pytest.mark.parametrize("bounds", [{}, {"max_hops": 2}, {"max_degree": 2}, {"max_hops": 1}])
def test_the_best_path_of_a_pair_is_the_same_in_memory(
    films: GraphStore, bounds: dict[str, int]
) -> None:
    titles = {str(n): f"Film {n}" for n in range(1, 5)}
    sources = {each: set(titles) - {each} for each in titles}
    options: dict[str, Any] = {"num_items": 1000, "config": PathConfig.model_validate(bounds)}
    of_graph = best_paths(films, titles, titles, sources, **options)
    in_memory = best_paths(read_snapshot(films), titles, titles, sources, **options)
    assert any(of_graph.values())
    for item, paths in of_graph.items():
        assert set(in_memory[item]) == set(paths)
        for event, path in paths.items():
            assert in_memory[item][event].record().model_dump() == path.record().model_dump()
