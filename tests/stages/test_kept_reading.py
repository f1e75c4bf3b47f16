"""What is folded in on a server is read as `kgrec extract` was told to read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from chat_server import chat_server, reply
from planted import item_id, plant
from test_fold import fit

from kgrec.data.records import TABLE, entity_id
from kgrec.graph.pages import fact_pages, relation_types
from kgrec.graph.store import GraphStore
from kgrec.schema import Domain, load_schema
from kgrec.stages import item_texts
from kgrec.stages.extract import ExtractConfig, extract
from kgrec.stages.fold import Folder
from kgrec.stages.item_texts import ItemTexts
from kgrec.stages.kept_reading import KeptReading, kept_reading
from kgrec.stages.upsert import upsert_items
from kgrec.text.pipeline import ItemText, TextFact
from kgrec.text.sources.fusion import TextFinding

MOVIES = load_schema().domain("movies")
OWN = f"{__name__}:Places"


class Places:
    """A component of one's own: a film is set where its last word says."""

    name, version = "places", "1"
    opened = 0

    def __init__(self, domain: Domain) -> None:
        Places.opened += 1
        self._type = domain.relations["SET_IN"].tail

    def find(self, items: Sequence[ItemText]) -> list[TextFinding]:
        return [TextFinding([self._fact(item)]) for item in items]

    def _fact(self, item: ItemText) -> TextFact:
        name = item.text.split()[-1]
        place = (name, item.text.rindex(name), len(item.text))
        return TextFact(item.item_id, "SET_IN", self._type, name, 0.9, "places", *place)


class Away(Places):
    """One that does not load where the server runs."""

    def __init__(self, domain: Domain) -> None:
        raise ImportError("no such engine here")


def put(store: GraphStore, *items: str, text: str = "Mit Hanna Schygulla in Lissabon") -> None:
    rows = [{"item_id": item, "title": f"Film {item}", "description": text} for item in items]
    upsert_items(store, list(enumerate(rows, 1)), MOVIES, source="api")


def stated(store: GraphStore, item: str) -> list[str]:
    pages = fact_pages(store, [item], relation_types(store))
    return sorted(relation for page in pages for relation in page["relations"])


@pytest.fixture
def cast(empty_store: GraphStore) -> GraphStore:
    """A graph whose table names one actor."""
    person = entity_id("Person", "Hanna Schygulla")
    named = [{"entity_id": person, "name": "Hanna Schygulla"}]
    put(empty_store, "first")
    empty_store.write("ingest/create_entities", {"entity_type": "Person"}, rows=named)
    row = {"head": "first", "tail": person, "confidence": 1.0, "evidence": ""}
    slots = {**load_schema().core.end_slots("item", "entity"), "relation": "STARS"}
    rows = [{**row, "source": "column:x", "extractor": TABLE}]
    empty_store.write("ingest/upsert_facts", slots, rows=rows, run_id="a-table")
    return empty_store


def test_language_and_components_are_those_of_the_extraction(
    cast: GraphStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listed = ("names", OWN, "language_model")
    with chat_server(lambda body: reply('{"facts": []}')) as server:
        monkeypatch.setenv("KGREC_LLM_URL", server.url)
        monkeypatch.setenv("KGREC_LLM_MODEL", "m")
        monkeypatch.setenv("KGREC_HOME", str(tmp_path))
        config = ExtractConfig(language="de", components=listed, processes=1)
        assert extract(cast, MOVIES, config, home=tmp_path).texts == 1
        asked = len(server.requests)
        texts = ItemTexts(cast, tmp_path)
        opened = Places.opened
        with caplog.at_level(logging.WARNING, "kgrec.fold"):
            put(cast, "second")
            assert texts.extract("movies", ["first", "second"]) == 2
            put(cast, "third")
            assert texts.extract("movies", ["first", "second", "third"]) == 2
        assert len(server.requests) == asked
        assert Places.opened == opened + 1
        [line] = [record.getMessage() for record in caplog.records]
        assert "without language_model" in line
        for item in ("second", "third"):
            assert stated(cast, item) == ["SET_IN", "STARS"]
        # With the language model they are read again, and nothing that it read is read without it.
        assert extract(cast, MOVIES, config, home=tmp_path).texts == 2
        assert texts.extract("movies", ["first", "second", "third"]) == 0


def test_it_follows_a_later_extraction_and_leaves_out_what_does_not_load(
    cast: GraphStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert kept_reading(tmp_path, MOVIES) == KeptReading()
    texts = ItemTexts(cast, tmp_path)
    extract(cast, MOVIES, ExtractConfig(language="de"), home=tmp_path)
    put(cast, "zeroth")
    assert texts.extract("movies", ["zeroth"]) == 1
    away = f"{__name__}:Away"
    config = ExtractConfig(language="de", components=("names", OWN))
    extract(cast, MOVIES, config, home=tmp_path)
    [kept] = (tmp_path / "reading").iterdir()
    kept.write_text(kept.read_text().replace(f'"{OWN}"', f'"{away}", "{OWN}"'))
    put(cast, "second")
    with caplog.at_level(logging.WARNING, "kgrec.fold"):
        assert texts.extract("movies", ["second"]) == 2
    [line] = [record.getMessage() for record in caplog.records]
    assert away in line
    assert "no such engine here" in line
    kept.write_text("{}x")
    assert kept_reading(tmp_path, MOVIES) == KeptReading()


def test_texts_that_the_time_does_not_suffice_for_follow(
    store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_texts, "SECONDS", 0.0)
    monkeypatch.setattr(item_texts, "ITEMS_AT_ONCE", 2)
    plant(store)
    fit(store, tmp_path, agents=("linear",), settings={})
    config = ExtractConfig(language="de", components=(OWN,))
    extract(store, MOVIES, config, items=[], home=tmp_path)
    folder = Folder(store, tmp_path)
    assert folder.run().facts == 0
    seen = folder.moment()
    put(store, "x0", "x1", "x2")
    old = [item_id(0), item_id(1), item_id(2)]
    put(store, *old)
    items = folder._touched(seen, folder.moment())
    assert items == {"x0", "x1", "x2", *old}
    rounds = []
    while items:
        seen = folder.moment()
        done = folder.run(items=items)
        rounds.append((done.folded, done.revised, done.facts))
        items = folder._touched(seen, folder.moment())
        assert len(rounds) < 9
    assert rounds[0] == (3, 2, 4)
    for item in ("x0", "x1", "x2", *old):
        assert "SET_IN" in stated(store, item)
