"""Facts from declarations alone, in a domain of one's own without a rule."""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path

import pytest

from kgrec.schema import Domain, Reading, load_schema
from kgrec.text.encoder import encode
from kgrec.text.models import SENTENCE_MODEL, SPACY_MODEL
from kgrec.text.pipeline import ItemText, TextFact
from kgrec.text.sources.chosen import ComponentSettings, open_components
from kgrec.text.sources.declared import FEATURES, WEIGHTS, DeclaredFacts, DeclaredSettings

WINES = """
name = "wines"
item_label = "Wine"
item_word = "wine"

[entity_types]
Winery = "A company that makes wine."
Grape = "A kind of grape that wine is pressed from."
Region = "A place where wine is grown."

[relations]
MADE_BY = { tail = "Winery", meaning = "{item} is produced by {entity}." }
FROM_GRAPE = { tail = "Grape", meaning = "{item} is pressed from {entity}." }
GROWN_IN = { tail = "Region", meaning = "{item} is grown in {entity}." }
"""
TEXT = (
    "Grown in Mendoza at a thousand metres and pressed from Malbec, the wine is produced by Bodega"
    " Sur. Carla Esposito's neighbours laughed in 1998. Nobody laughs in Lisbon today."
)


@pytest.fixture(scope="module")
def wines(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    path = tmp_path_factory.mktemp("domain") / "wines.toml"
    path.write_text(WINES, encoding="utf-8")
    return load_schema().domain(str(path))


def read(domain: Domain, text: str, *, least: float = 0.6, title: str = "") -> list[TextFact]:
    encoder = partial(encode, model=SENTENCE_MODEL)
    source = DeclaredFacts(domain, DeclaredSettings(confidence=least), encoder, SPACY_MODEL)
    [found] = source.find([ItemText("1", title, text)])
    assert found.complete
    return found.facts


def test_a_domain_without_rules_gets_facts_with_their_evidence(wines: Domain) -> None:
    facts = read(wines, TEXT)
    assert {(f.relation, f.entity_type, f.entity_name) for f in facts} == {
        ("GROWN_IN", "Region", "Mendoza"),
        ("FROM_GRAPE", "Grape", "Malbec"),
        ("MADE_BY", "Winery", "Bodega Sur"),
    }
    for fact in facts:
        assert TEXT[fact.start : fact.end] == fact.evidence
        assert fact.entity_name in fact.evidence
        assert 0.6 <= fact.confidence < 1
        assert fact.found_by == f"declared@{fact.version}"


def test_it_abstains_below_the_threshold(wines: Domain) -> None:
    every, few = read(wines, TEXT, least=0.01), read(wines, TEXT, least=0.999)
    assert len(every) >= 3
    assert few == []
    assert read(wines, "Nothing to think about. Cold, cheap and cheerful.") == []
    assert read(wines, "") == []
    assert read(wines, "Bodega Sur is produced by Bodega Sur.", title="Bodega Sur") == []


def test_settings_and_declarations_are_part_of_the_version(wines: Domain) -> None:
    def version(domain: Domain, least: float) -> str:
        settings = ComponentSettings(
            components=("declared",), declared=DeclaredSettings(confidence=least)
        )
        return open_components(domain, settings).version

    relation = wines.relations["MADE_BY"].model_copy(update={"meaning": "{entity} makes {item}."})
    other = wines.model_copy(update={"relations": {**wines.relations, "MADE_BY": relation}})
    assert len({version(wines, 0.6), version(wines, 0.7), version(other, 0.6)}) == 3
    assert len(WEIGHTS) == len(FEATURES) + 1


def test_precision_on_texts_of_other_domains() -> None:
    """The texts that the confidence was fitted on, without the words and rules of their domains."""
    path = Path(__file__).parents[2] / "examples" / "extraction" / "declared.toml"
    texts = tomllib.loads(path.read_text(encoding="utf-8"))["texts"]
    right = stated = wanted = 0
    for name in ("games", "courses"):
        domain = load_schema().domain(name).model_copy(update={"rules": (), "reading": Reading()})
        encoder = partial(encode, model=SENTENCE_MODEL)
        source = DeclaredFacts(domain, DeclaredSettings(), encoder, SPACY_MODEL)
        own = [one for one in texts if one["domain"] == name]
        items = [ItemText(str(i), one["title"], one["text"]) for i, one in enumerate(own)]
        for one, found in zip(own, source.find(items), strict=True):
            facts = {f"{fact.relation} {fact.entity_name}" for fact in found.facts}
            right += len(facts & set(one["facts"]))
            stated += len(facts)
            wanted += len(one["facts"])
    assert right / stated >= 0.8
    assert right / wanted >= 0.4
