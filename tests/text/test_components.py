"""Components of extraction: which are listed, what they find together, where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kgrec.config import parse_config
from kgrec.errors import ConfigError
from kgrec.graph.store import GraphStore
from kgrec.schema import Domain, load_schema
from kgrec.stages.extract import ExtractConfig, extract
from kgrec.text.pipeline import ItemText, TextFact, extractor_version
from kgrec.text.sources.chosen import COMPONENTS, open_components
from kgrec.text.sources.fusion import TextFinding, fused

TEXT = "A thriller by Clara Voss of Harbour Press, set in Lisbon."
BOOKS = load_schema().domain("books")


class Guesses:
    """A component of one's own: whatever follows "by" wrote the book, up to the comma."""

    name, version = "guesses", "1"

    def __init__(self, domain: Domain) -> None:
        self._type = domain.relations["WRITTEN_BY"].tail

    def find(self, items: Sequence[ItemText]) -> list[TextFinding]:
        """Return a fact of each text."""
        return [TextFinding([fact_of(item, self._type)], item.item_id != "half") for item in items]


def fact_of(item: ItemText, kind: str) -> TextFact:
    start = item.text.index("by ") + 3
    end = item.text.index(",")
    name = item.text[start:end]
    known = (item.item_id, "WRITTEN_BY", kind, name, 0.3, "guesses")
    return TextFact(*known, evidence=name, start=start, end=end, version="1")


@pytest.mark.parametrize(
    ("components", "words"),
    [
        (["names", "rule"], ["'rule'", *COMPONENTS]),
        (["ner", "ner"], ["twice"]),
        (["ner"], ["alone"]),
    ],
)
def test_unknown_components_are_refused_with_those_that_are_known(
    components: list[str], words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(ExtractConfig, {"components": components}, origin="[extract]")
    assert all(word in str(caught.value) for word in ["[extract]", *words])


def test_a_component_without_what_it_needs_is_refused() -> None:
    with pytest.raises(ConfigError, match="no folder"):
        parse_config(ExtractConfig, {"components": ["trained"]}, origin="[extract]")
    with pytest.raises(ConfigError, match="cannot be imported"):
        open_components(BOOKS, ExtractConfig(components=("nowhere:at_all",)))


def test_the_default_is_what_it_was() -> None:
    parts = open_components(BOOKS, ExtractConfig())
    assert parts.version.startswith(extractor_version(BOOKS))
    assert ExtractConfig().active == ("names", "ner", "rules", "item_mentions")
    assert ExtractConfig(trained=Path("x")).active[-2:] == ("item_mentions", "trained")
    assert parts.sources == ()


def test_what_is_switched_off_finds_nothing() -> None:
    def facts(*components: str) -> set[tuple[str, str]]:
        parts = open_components(BOOKS, ExtractConfig(components=components))
        extractor = parts.extractor(lambda: {"Genre": ["thriller"]})
        assert extractor is not None
        [(_, found)] = extractor.read([ItemText("1", "", TEXT)])
        assert all(fact.version in parts.version for fact in found)
        return {(fact.component, fact.relation) for fact in found}

    named, ruled = ("names", "HAS_GENRE"), ("rules", "WRITTEN_BY")
    assert {named, ruled} <= facts("names", "ner", "rules")
    assert named not in facts("ner", "rules")
    assert facts("names", "ner") == {named}
    assert ruled in facts("rules")


def fact(component: str, relation: str, kind: str, name: str, confidence: float) -> TextFact:
    start = TEXT.index(name)
    place = (name, start, start + len(name))
    return TextFact("1", relation, kind, name, confidence, component, *place)


def test_two_readings_of_the_same_words_are_a_disagreement() -> None:
    one = [
        fact("rules/maker", "WRITTEN_BY", "Person", "Clara Voss", 0.9),
        fact("rules/prep", "SET_IN", "Place", "Lisbon", 0.6),
    ]
    two = [
        fact("model/x", "WRITTEN_BY", "Person", "Clara Voss of Harbour Press", 0.8),
        fact("model/x", "PUBLISHED_BY", "Organization", "Lisbon", 0.7),
        fact("model/x", "TRANSLATED_BY", "Person", "Clara Voss", 0.8),
        fact("model/x", "HAS_GENRE", "Genre", "thriller", 0.8),
    ]
    kept, others = fused([one, two], BOOKS)
    assert [(f.relation, f.entity_name) for f in kept] == [
        ("WRITTEN_BY", "Clara Voss"),
        ("PUBLISHED_BY", "Lisbon"),
        ("TRANSLATED_BY", "Clara Voss"),
        ("HAS_GENRE", "thriller"),
    ]
    found = {each.kind: each for each in others}
    assert found["borders"].other.name == "Clara Voss of Harbour Press"
    assert (found["type"].kept.component, found["type"].other.component) == ("model", "rules")
    assert found["relation"].other.relation == "TRANSLATED_BY"


def test_equal_confidence_is_decided_by_the_order_and_links_need_their_head() -> None:
    one = [fact("rules/maker", "WRITTEN_BY", "Person", "Clara Voss", 0.8)]
    two = [fact("model/x", "WRITTEN_BY", "Person", "Clara", 0.8)]
    link = replace(
        fact("model/x", "BORN_IN", "Place", "Lisbon", 0.8), head_type="Person", head_name="Clara"
    )
    assert fused([one, [*two, link]], BOOKS)[0] == one
    assert fused([[*two, link], one], BOOKS)[0] == [*two, link]
    same = fact("model/x", "WRITTEN_BY", "Person", "Clara Voss", 0.8)
    assert fused([one, [same]], BOOKS) == (one, [])


def test_a_component_of_ones_own_reaches_the_graph_with_its_version(
    empty_store: GraphStore,
) -> None:
    rows = [
        {"item_id": item, "properties": {"title": "", "description": TEXT}}
        for item in ("whole", "half")
    ]
    ids = [row["item_id"] for row in rows]
    empty_store.write("ingest/create_items", {"item_type": "Book"}, items=ids)
    empty_store.write("ingest/set_items", rows=rows)
    config = ExtractConfig(components=("names", "ner", "rules", f"{__name__}:Guesses"))
    done = extract(empty_store, BOOKS, config)
    assert (done.texts, done.incomplete) == (2, 1)
    assert done.disagreements == {"borders": 2}
    assert done.disagreement_samples[0].other.name == "Clara Voss of Harbour Press"
    assert done.components["rules"] == sum(done.facts.values())
    found = empty_store.query(
        "MATCH (:Item)-[r:WRITTEN_BY]->(e) RETURN DISTINCT e.name AS name, r.extractor AS by"
    ).rows
    version = extractor_version(BOOKS)
    assert found == [{"name": "Clara Voss", "by": f"rules/maker@{version}"}]
    again = extract(empty_store, BOOKS, config)
    assert (again.texts, again.unchanged, again.incomplete) == (1, 1, 1)
