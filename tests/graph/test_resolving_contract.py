"""Every engine merges nodes, arrives at the kept one by old names, and undoes it exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kgrec.data.sources import Source
from kgrec.errors import ConfigError
from kgrec.graph.dump.export import export_graph
from kgrec.graph.redirects import merges, redirects_of
from kgrec.graph.store import GraphStore
from kgrec.stages.ingest import IngestSummary, ingest, prepare
from kgrec.stages.resolving.merging import Pair, decision_id, merge
from kgrec.stages.resolving.resolve import confirm, reject, resolve_graph
from kgrec.stages.resolving.undoing import forget_user_of_merges, undo, undo_all

FILMS = """movie_id,title,year,director,actors,description
1,Alien,1979,Ridley Scott,Sigourney Weaver|John Hurt,A crew meets a creature.
2,Blade Runner,1982,"Scott, Ridley",Harrison Ford|Rutger Hauer,
3,Black Rain,1989,Ridley Scott,Michael Douglas,Two officers in Osaka.
4,Alien,1979,"Scott, Ridley",Sigourney Weaver,
"""
RATINGS = """user_id,movie_id,rating,timestamp
ann,1,5,880000001
ann,4,4,880000002
bob,4,3,880000003
cas,1,5,
cas,4,2,
"""
OPTIONS: dict[str, Any] = {"relations": {"DIRECTED_BY": "director", "STARS": "actors:|"}}
KEPT, MERGED = "Person:ridley scott", "Person:scott, ridley"
Load = Callable[..., IngestSummary]


@pytest.fixture
def load(graph: GraphStore, tmp_path: Path) -> Load:
    def load(kind: str, text: str, name: str, **options: Any) -> IngestSummary:
        path = tmp_path / name
        path.write_text(text, "utf-8")
        source = Source.model_validate({"kind": kind, "path": path, **options})
        return ingest(graph, prepare(source, "movies", cache=tmp_path), home=tmp_path)

    return load


@pytest.fixture
def digest(graph: GraphStore, tmp_path: Path) -> Callable[[], str]:
    return lambda: export_graph(graph, tmp_path / "dump", replace=True).content


@pytest.fixture
def films(load: Load) -> None:
    load("catalog", FILMS, "films.csv", **OPTIONS)
    load("interactions", RATINGS, "ratings.csv")


def rows(graph: GraphStore, cypher: str) -> list[list[Any]]:
    return [list(row.values()) for row in graph.query(cypher).rows]


@pytest.mark.usefixtures("films")
def test_entities_merge_and_come_back(
    graph: GraphStore, load: Load, digest: Callable[[], str]
) -> None:
    before = digest()
    merge_id = merge(graph, Pair("entity", KEPT, MERGED, 0.97, ("words in another order",)))
    text = (
        f"MATCH (i:Item)-[f:DIRECTED_BY]->(e:Person {{entity_id: '{KEPT}'}}) "
        "RETURN i.item_id AS i, f.source AS s, f.merged_from AS m ORDER BY i"
    )
    source = "column:films.director"
    assert rows(graph, text) == [
        ["1", source, None],
        ["2", source, [merge_id]],
        ["3", source, None],
        ["4", source, [merge_id]],
    ]
    people = (
        "MATCH (e:Person) WHERE e.name CONTAINS 'Scott' RETURN e.entity_id AS e, e.aliases AS a"
    )
    assert rows(graph, people) == [[KEPT, ["Scott, Ridley"]]]
    assert redirects_of(graph).of("entity", MERGED) == KEPT
    merged = digest()
    again = load("catalog", FILMS, "films.csv", **OPTIONS)
    assert not again.changed
    assert (again.rejected, again.unchanged) == (0, 4)
    assert digest() == merged
    undo(graph, merge_id)
    assert digest() == before
    assert not redirects_of(graph)


@pytest.mark.usefixtures("films")
def test_items_merge_with_their_histories(
    graph: GraphStore, load: Load, digest: Callable[[], str]
) -> None:
    before = digest()
    merge(graph, Pair("item", "1", "4"))
    history = (
        "MATCH (u:User)-[x:INTERACTED]->(i:Item) "
        "RETURN u.user_id AS u, i.item_id AS i, x.value AS v ORDER BY u, v"
    )
    assert rows(graph, history) == [
        ["ann", "1", 4.0],
        ["ann", "1", 5.0],
        ["bob", "1", 3.0],
        ["cas", "1", 2.0],
        ["cas", "1", 5.0],
    ]
    merged = digest()
    for kind, text, name, options in (
        ("catalog", FILMS, "films.csv", OPTIONS),
        ("interactions", RATINGS, "ratings.csv", {}),
    ):
        again = load(kind, text, name, **options)
        assert not again.changed
        assert again.rejected == 0
    assert digest() == merged
    undo_all(graph)
    assert digest() == before


POLISH = """movie_id,title,year,director,actors
1,Blue,1993,Krzysztof Kieślowski,Juliette Binoche
2,Three Colours: Red,1994,Krzysztof Kieslowski,Irène Jacob|Tom Hanks|Thomas Hanks
3,White,1994,Krzysztof KIESLOWSKI,Zbigniew Zamachowski|David Keith
4,Camera Buff,1979,"Kieslowski, Krzysztof",Jerzy Stuhr|Tom Hank
5,Veronique,1991,K. Kieślowski,Irene Jacob
6,Jerry,1991,Jerzy  Stuhr,Keith David
7,Three Colours: Red,1994,Krzysztof Kieślowski,Irène Jacob
8,Three Colours: Red,1922,Someone,Lya Mara
9,Three Colours,1993,Tom Hanks,Juliette Binoche
"""


def test_a_graph_is_resolved_and_reviewed(
    graph: GraphStore, load: Load, digest: Callable[[], str]
) -> None:
    load("catalog", POLISH, "films.csv", **OPTIONS)
    before = digest()
    found = resolve_graph(graph, dry_run=True)
    assert digest() == before
    done = resolve_graph(graph, types=["Person"])
    assert {(one.left, one.right) for one in done.merged} >= {
        ("Person:krzysztof kieślowski", "Person:krzysztof kieslowski"),
        ("Person:krzysztof kieślowski", "Person:kieslowski, krzysztof"),
        ("Person:irène jacob", "Person:irene jacob"),
    }
    assert not any("hank" in one.left for one in done.merged)
    merged = digest()
    assert resolve_graph(graph).merged == ()
    assert digest() == merged
    assert found.merged
    assert not load("catalog", POLISH, "films.csv", **OPTIONS).changed
    assert digest() == merged
    items = resolve_graph(graph, "item", dry_run=True)
    assert [(one.left, one.right) for one in items.merged] == [("2", "7")]
    assert {item for one in items.review for item in (one.left, one.right)} <= {"2", "8"}
    pair = ("Person:david keith", "Person:keith david")
    assert pair in {(one.left, one.right) for one in resolve_graph(graph, dry_run=True).review}
    reject(graph, "entity", *reversed(pair))
    left = resolve_graph(graph, at_least=0.3)
    assert pair not in {(one.left, one.right) for one in (*left.review, *left.merged)}
    with pytest.raises(ConfigError, match="merged"):
        reject(graph, "entity", "Person:irène jacob", "Person:irene jacob")
    undo_all(graph)
    graph.write(
        "resolve/undecide", ids=[decision_id("entity", "Person:david keith", "Person:keith david")]
    )
    assert digest() == before
    undo(graph, confirm(graph, Pair("entity", *pair)))
    assert digest() == before


TRANSLATED = """movie_id,title,original_title,year,director
1,Spirited Away,千と千尋の神隠し,2001,Hayao Miyazaki
2,Castle in the Sky,天空の城ラピュタ,1986,Hayao Miyazaki
3,The Seventh Seal,The Seventh Seal,1957,Ingmar Bergman
"""
IN_THE_ORIGINAL = """movie_id,title,year,director
a,千と千尋の神隠し,2001,Hayao Miyazaki
b,Det sjunde inseglet,1957,Ingmar Bergman
"""


def test_a_translated_title_leads_to_the_same_film(graph: GraphStore, load: Load) -> None:
    options = {"relations": {"DIRECTED_BY": "director"}}
    load("catalog", TRANSLATED, "films.csv", **options)
    load("catalog", IN_THE_ORIGINAL, "originals.csv", **options)
    known = "MATCH (i:Item) WHERE i.aliases IS NOT NULL RETURN i.item_id AS i, i.aliases AS a"
    assert sorted(rows(graph, known)) == [
        ["1", ["千と千尋の神隠し"]],
        ["2", ["天空の城ラピュタ"]],
    ]
    found = resolve_graph(graph, "item", dry_run=True)
    # Of five films alone no word is rare, so that a person is to decide.
    assert [(one.left, one.right) for one in (*found.merged, *found.review)] == [("1", "a")]
    assert not load("catalog", TRANSLATED, "films.csv", **options).changed


def test_a_run_that_is_stopped_goes_on(
    graph: GraphStore, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("catalog", POLISH, "films.csv", **OPTIONS)
    write, calls = GraphStore._transaction, iter(range(1_000))

    def stopping(self: GraphStore, texts: Any, timeout: float) -> Any:
        """Break off within a transaction, when most of its statements are sent."""
        if any("CREATE (m:Merge" in text for text, _ in texts) and next(calls) == 1:
            texts = [*texts[:-1], ("RETURN 1 / 0 AS wrong", {})]
        return write(self, texts, timeout)

    monkeypatch.setattr(GraphStore, "_transaction", stopping)
    with pytest.raises(Exception, match=r"(?i)zero"):
        resolve_graph(graph, types=["Person"])
    assert len(list(merges(graph))) == 1
    monkeypatch.setattr(GraphStore, "_transaction", write)
    resolve_graph(graph, types=["Person"])
    people = "MATCH (e:Person) WHERE e.name CONTAINS 'ieslowski' RETURN e.name AS e"
    assert rows(graph, people) == []
    facts = "MATCH (:Item)-[f:DIRECTED_BY]->(e:Person) RETURN count(f) AS n"
    assert rows(graph, facts) == [[9]]


@pytest.mark.usefixtures("films")
def test_what_came_since_stays_and_merges_come_apart_in_any_order(
    graph: GraphStore, load: Load, digest: Callable[[], str]
) -> None:
    load("catalog", "movie_id,title,director\n9,Napoleon,R. Scott\n", "more.csv")
    before = digest()
    first = merge(graph, Pair("entity", KEPT, MERGED))
    merge(graph, Pair("entity", KEPT, "Person:r. scott"))
    undo(graph, first)
    assert [one.merged for one in merges(graph)] == ["Person:r. scott"]
    undo_all(graph)
    assert digest() == before
    first = merge(graph, Pair("entity", KEPT, MERGED))
    later = 'movie_id,title,director\n8,Legend,"Scott, Ridley"\n'
    assert load("catalog", later, "later.csv").entities == 0
    assert undo(graph, first).later == 1
    text = (
        f"MATCH (i:Item)-[:DIRECTED_BY]->(e:Person {{entity_id: '{KEPT}'}}) "
        "RETURN i.item_id AS i ORDER BY i"
    )
    assert rows(graph, text) == [["1"], ["3"], ["8"]]


def test_the_surer_of_two_facts_stays_and_both_come_back(
    graph: GraphStore, load: Load, digest: Callable[[], str]
) -> None:
    load("catalog", FILMS, "films.csv", **OPTIONS)
    links = (
        "item_id,relation,entity,confidence\n"
        '1,DIRECTED_BY,"Person:Scott, Ridley",0.5\n4,DIRECTED_BY,Person:Ridley Scott,0.5\n'
    )
    columns = {"head": "item_id", "relation": "relation", "tail": "entity"}
    load("relations", links, "links.csv", columns=columns)
    graph.query(
        "MATCH (i:Item {item_id: '1'}) "
        "CREATE (:User {user_id: 'ann'})-[:RECOMMENDED {rank: 1}]->(i)",
        writing=True,
    )
    before = digest()
    merge_id = merge(graph, Pair("entity", KEPT, MERGED))
    facts = (
        "MATCH (i:Item)-[f:DIRECTED_BY]->(:Person) "
        "RETURN i.item_id AS i, f.confidence AS c ORDER BY i"
    )
    assert rows(graph, facts) == [["1", 1.0], ["2", 1.0], ["3", 1.0], ["4", 1.0]]
    undo(graph, merge_id)
    assert digest() == before
    merge(graph, Pair("item", "4", "1"))
    assert forget_user_of_merges(graph, "nobody") == 0
    assert forget_user_of_merges(graph, "ann") == 1
    undo_all(graph)
    assert rows(graph, "MATCH (u:User)-[r:RECOMMENDED]->() RETURN u.user_id AS u") == []


def test_what_is_decided_of_a_pair_holds_for_no_other() -> None:
    assert decision_id("item", "a/b", "c") != decision_id("item", "a", "b/c")
    assert decision_id("item", "a", "b") == decision_id("item", "b", "a")
    assert decision_id("item", "a", "b") != decision_id("entity", "a", "b")
