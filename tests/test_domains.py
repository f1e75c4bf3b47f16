"""The domains that are shipped: sound, alike where they share, and at home in public tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from wild_tables import WILD

from kgrec.config import load_toml
from kgrec.data.columns import plan_columns
from kgrec.data.sources import Source
from kgrec.data.tables import open_table
from kgrec.errors import SchemaError
from kgrec.resources import resource_dir
from kgrec.retrieval.filters import parse_filter
from kgrec.schema import load_schema
from kgrec.schema.checks import advice_on, faults_of
from kgrec.schema.loading import load_domain
from kgrec.text.pipeline import Extractor, ItemText

SCHEMA = load_schema()
DOMAINS = sorted(SCHEMA.domains)
ADDED = sorted(set(DOMAINS) - {"movies", "music"})

PROSE = {
    "books": (
        "A historical novel by Clara Voss, set in Lisbon in the 1920s. It was translated by Ann "
        "Lee and published by Harbour Press. It is a sequel to The Tin Sea.",
        {
            ("WRITTEN_BY", "Clara Voss"),
            ("SET_IN", "Lisbon"),
            ("SET_DURING", "1920s"),
            ("TRANSLATED_BY", "Ann Lee"),
            ("PUBLISHED_BY", "Harbour Press"),
        },
    ),
    "shop": (
        "An enamel mug made by Northfell, made of steel and made for camping.",
        {("MADE_BY", "Northfell"), ("MADE_OF", "steel"), ("MADE_FOR", "camping")},
    ),
    "news": (
        "Mayor Jane Smith said on Monday that the bridge would close. The meeting took place in "
        "Vienna. The article was written by Tom Reed.",
        {("HAPPENED_IN", "Vienna"), ("WRITTEN_BY", "Tom Reed")},
    ),
    "games": (
        "A strategy game developed by Blue Owl Studio and published by Harbour Press. It is set in "
        "Berlin during World War II.",
        {
            ("DEVELOPED_BY", "Blue Owl Studio"),
            ("PUBLISHED_BY", "Harbour Press"),
            ("SET_IN", "Berlin"),
            ("SET_DURING", "World War II"),
        },
    ),
    "recipes": (
        "This Italian dish comes from Lombardy. It is made with rice and served as a starter.",
        {
            ("COMES_FROM", "Lombardy"),
            ("HAS_INGREDIENT", "rice"),
            ("SERVED_AS", "starter"),
        },
    ),
    "jobs": (
        "Acme Corp is hiring a data engineer. The position is based in Munich.",
        {("OFFERED_BY", "Acme Corp"), ("WORKS_IN", "Munich")},
    ),
    "courses": (
        "An introduction to probability, taught by Maria Lopez and offered by Stanford "
        "University. You will learn regression and sampling.",
        {
            ("TAUGHT_BY", "Maria Lopez"),
            ("OFFERED_BY", "Stanford University"),
            ("TEACHES", "regression"),
            ("ABOUT", "probability"),
        },
    ),
    "places": (
        "A small café in Lisbon, run by Ana Costa. It offers breakfast and free parking.",
        {("IN_PLACE", "Lisbon"), ("RUN_BY", "Ana Costa"), ("HAS_AMENITY", "breakfast")},
    ),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_a_domain_is_sound_and_has_words_of_its_own(name: str) -> None:
    domain = SCHEMA.domain(name)
    assert list(faults_of(domain, SCHEMA.core)) == []
    assert domain.name == name
    assert "item" not in (domain.item_word, domain.plural)
    assert domain.rules
    assert domain.reading.item_nouns
    labels = [one.item_label for one in SCHEMA.domains.values()]
    assert labels.count(domain.item_label) == 1


@pytest.mark.parametrize("name", ADDED)
def test_nothing_in_an_added_domain_is_hardly_meant(name: str) -> None:
    ruled_or_read = [one.what for one in advice_on(SCHEMA.domain(name))]
    assert ruled_or_read == []


def test_a_property_has_one_type_in_all_domains() -> None:
    kinds: dict[str, set[str]] = {}
    for domain in SCHEMA.domains.values():
        for prop, kind in domain.item_properties.items():
            kinds.setdefault(prop, set()).add(kind)
    assert all(len(found) == 1 for found in kinds.values()), kinds


def test_added_domains_share_what_they_have_in_common() -> None:
    folder = resource_dir("graph_schema") / "domains"
    for name in ADDED:
        assert len((folder / f"{name}.toml").read_text(encoding="utf-8").splitlines()) < 150
        assert load_toml(folder / f"{name}.toml")["uses"]
    rules = [rule for name in ADDED for rule in SCHEMA.domain(name).rules]
    own = [rule for name in ADDED for rule in load_toml(folder / f"{name}.toml")["rules"]]
    assert len(rules) > 1.3 * len(own)


@pytest.mark.parametrize("name", DOMAINS)
def test_the_examples_of_a_domain_are_of_that_domain(name: str) -> None:
    domain = SCHEMA.domain(name)
    assert domain.examples["filter"]
    for text in domain.examples["filter"]:
        parse_filter(text, name)
    relation = domain.relations[domain.examples["relation"]]
    assert domain.examples["entity_type"] == relation.tail


@pytest.mark.parametrize("name", ADDED)
def test_prose_of_a_domain_becomes_facts(name: str) -> None:
    text, wanted = PROSE[name]
    domain = SCHEMA.domain(name)
    [(_, facts)] = Extractor(domain).read([ItemText("1", "A title", text)])
    assert wanted <= {(fact.relation, fact.entity_name) for fact in facts}


WITHOUT_IDS = ("MovieLens 1M", "Coursera catalogue")  # or names: what `kgrec init` adds to both


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, one in WILD.items()
        if one.facts and not one.edits and not one.written and name not in WITHOUT_IDS
    ),
)
def test_public_tables_name_what_the_domain_knows(name: str, tmp_path: Path) -> None:
    wild = WILD[name]
    domain = SCHEMA.domain(wild.domain)
    found: set[str] = set()
    for file, content in wild.files.items():
        path = tmp_path / file
        path.write_bytes(content)
        source = Source(kind="catalog", path=path, encoding="latin-1" if "BX" in file else "utf-8")
        table = open_table(path, source.layout)
        if file in wild.long:
            continue
        words = {"user", "interactions", "ratings", "apps", "transactions", "recommendations"}
        if not any(word in file.lower() for word in {*words, "reviews", "_5", "customers"}):
            plan = plan_columns(table, source, domain, SCHEMA.core)
            found |= {one.relation for one in plan.relations}
    assert set(wild.facts) - set(wild.long.values()) <= found


def test_pieces_that_are_unknown_or_use_each_other_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nuses = ["nothing"]\nitem_label = "Mine"\n', encoding="utf-8")
    with pytest.raises(SchemaError, match=r"unknown piece.*'nothing'.*people"):
        load_domain(path, SCHEMA.core)


def test_a_domain_may_build_on_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'name = "mine"\nuses = ["books"]\n[entity_types]\nPrize = "A prize."\n[relations]\n'
        'WON = { tail = "Prize", meaning = "{item} won {entity}.", columns = ["prize"] }\n',
        encoding="utf-8",
    )
    mine, books = load_domain(path, SCHEMA.core), SCHEMA.domain("books")
    assert mine.item_label == "Book"
    assert mine.rules == books.rules
    assert mine.relations.keys() == {*books.relations, "WON"}
    assert mine.relation_of_column("prize") == "WON"
