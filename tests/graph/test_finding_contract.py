"""Every engine finds the same names, with the catalogue in memory and without it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from titles import titles

from kgrec.graph.store import GraphStore
from kgrec.retrieval.finding import finder
from kgrec.retrieval.finding.finder import find
from kgrec.retrieval.resident import Resident


@pytest.fixture
def films(graph: GraphStore) -> dict[str, str]:
    ids = {str(n): title for n, title in enumerate(titles())}
    write(graph, ids)
    people = [{"entity_id": f"Person:{n}", "name": name} for n, name in enumerate(["Zoë Łuk", "X"])]
    graph.write("ingest/create_entities", {"entity_type": "Person"}, rows=people)
    return ids


def write(graph: GraphStore, named: dict[str, str]) -> None:
    rows = [{"item_id": each, "properties": {"title": title}} for each, title in named.items()]
    graph.write_all(
        [
            ("ingest/create_items", {"item_type": "Movie"}, {"items": list(named)}),
            ("ingest/set_items", {}, {"rows": rows}),
        ]
    )


def first(graph: GraphStore, text: str, resident: Resident | None) -> str | None:
    return next((one.name for one in find(graph, "item", text, resident)), None)


def eventually(is_so: Callable[[], bool]) -> None:
    """A full-text index may be filled after a write; wait for it."""
    end = time.monotonic() + 20
    while not is_so() and time.monotonic() < end:
        time.sleep(0.1)
    assert is_so()


def test_titles_are_found_from_the_graph_and_from_memory(
    graph: GraphStore, films: dict[str, str]
) -> None:
    resident = Resident(graph)
    resident.load()
    for title in films.values():
        assert first(graph, title, resident) == title
    for title in titles()[:12]:
        assert first(graph, title, None) == title
    assert find(graph, "item", "!!!", resident) == find(graph, "item", "!!!", None) == []


def test_entities_are_found_beside_titles(graph: GraphStore, films: dict[str, str]) -> None:
    resident = Resident(graph)
    resident.load()
    for place in (resident, None):
        [found] = find(graph, "entity", "zoe luk", place)
        assert (found.id, found.name, found.type) == ("Person:0", "Zoë Łuk", "Person")
        assert find(graph, "entity", "zoe luk", place, "Genre") == []


def test_a_catalogue_out_of_memory_is_found_by_the_full_text_index(
    graph: GraphStore, films: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "MOST_READ", 0)
    eventually(lambda: first(graph, "rosemarys", None) == "Rosemary's Baby")
    for text, title in {
        "WALL·E": "WALL·E",
        "Amelie": "Amélie",
        "casablnca": "Casablanca",
        "nosfe": "Nosferatu",
        "Солярис": "Солярис",
        "हिन्दी": "हिन्दी फ़िल्म",
        "ISTANBUL HATIRASI": "İstanbul Hatırası",
    }.items():
        assert first(graph, text, None) == title


def test_what_has_just_changed_is_found_before_memory_knows_it(
    graph: GraphStore, films: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = Resident(graph)
    resident.load()
    monkeypatch.setattr(resident, "_refresh", lambda: None)  # the memory stays behind
    write(graph, {"new": "Zwölf Uhr mittags"})
    graph.write("ingest/set_items", rows=[{"item_id": "0", "properties": {"title": "Renamed"}}])
    graph.write("retiring/delete_items", items=["1"])
    eventually(lambda: first(graph, "zwolf uhr", resident) == "Zwölf Uhr mittags")
    eventually(lambda: first(graph, "renamed", resident) == "Renamed")
    for gone in ("Rosemary's Baby", "WALL·E"):
        assert gone not in {one.name for one in find(graph, "item", gone, resident)}
    assert first(graph, "casablnca", resident) == "Casablanca"
