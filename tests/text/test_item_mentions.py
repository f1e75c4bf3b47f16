"""What a text says of its item, and what of another work."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from kgrec.schema import Domain, load_schema
from kgrec.schema.domain import WorkWords
from kgrec.text.pipeline import ItemText, TextFact, extractor_version
from kgrec.text.sources.chosen import ComponentSettings, open_components
from kgrec.text.sources.fusion import FusionCounts, read_beside
from kgrec.text.sources.item_mentions import ItemMentions

SCHEMA = load_schema()
BOOKS, MOVIES, GAMES = map(SCHEMA.domain, ("books", "movies", "games"))
TEXTS = tomllib.loads(Path(__file__).with_name("other_works.toml").read_text(encoding="utf-8"))


def spoken(
    text: str, *, title: str = "Blue Hour", domain: Domain = BOOKS, language: str = "en"
) -> dict[str, str]:
    """Return what speaks of other works, and how."""
    found = ItemMentions(domain, language).others(ItemText("1", title, text))
    return {text[one.start : one.end]: one.role for one in found}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("From the author of Dead Strings comes a novel.", {"Dead Strings": "maker"}),
        ("From the author of Dune, Frank Herbert.", {"Dune": "maker"}),
        ("A play based on the novel by Ann Lee, with songs.", {"the novel by Ann Lee": "derived"}),
        ("For fans of Ann Lee and Bob Roe.", {"Ann Lee and Bob Roe": "likened"}),
        ("A novel like Dune, set in Rome.", {"Dune": "likened"}),
        ("I like the ending of this book.", {}),
        ("Fans of the book praise its author, Ann Lee.", {}),
        ("The author of this novel, Ann Lee, lives in Rome.", {}),
        ("The author of Blue Hour lives in Rome.", {}),
        (
            "The previous book was published by Tower. It was written by Ann Lee. Now she is back.",
            {
                "The previous book was published by Tower.": "subject",
                "It was written by Ann Lee.": "subject",
            },
        ),
        ("A novel by Ann Lee, published by Tower.", {}),
    ],
)
def test_other_works_are_told_from_the_item(text: str, found: dict[str, str]) -> None:
    assert spoken(text) == found


def test_the_words_of_a_domain_decide_what_is_its_item() -> None:
    text = "The novel was written by Ann Lee."
    assert spoken(text, domain=BOOKS) == {}
    assert spoken(text, domain=MOVIES) == {text: "subject"}


def test_what_speaks_of_the_item_is_found_too() -> None:
    text = (
        "Blue Hour is short. The creepy novel has fans; it has a map, unlike Dune and its sequel."
    )
    found = ItemMentions(BOOKS).find(ItemText("1", "Blue Hour", text))
    shown = [(text[one.start : one.end], one.role) for one in found]
    assert ("Blue Hour", "item") in shown
    assert ("The creepy novel", "item") in shown
    assert ("it", "item") in shown
    assert ("its", "item") not in shown
    assert [text for text, role in shown if role == "likened"] == ["Dune and its sequel"]


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("de", "Ein Film nach dem Roman von Eva Kurz, mit Jan Ott.", {"von Eva Kurz": "derived"}),
        ("de", "Vom Regisseur von Die Brücke: ein Drama.", {"Die Brücke": "maker"}),
        ("fr", "Un film d’après Victor Hugo avec Jean Gabin.", {"Victor Hugo ": "derived"}),
        ("es", "Para fans de Isabel Coixet, Ana Mas.", {"Isabel Coixet, Ana Mas": "likened"}),
        ("zh", "改编自余华的小说，由张艺谋执导。", {"余华的小说": "derived"}),
        ("sv", "Baserad på en roman av Eva Kurz.", {}),
    ],
)
def test_a_language_without_a_parser_is_read_by_words(
    language: str, text: str, found: dict[str, str]
) -> None:
    assert spoken(text, domain=MOVIES, language=language) == found


def test_facts_of_another_work_are_left_out() -> None:
    """What leads to another work stays, and so does what a story shares with its source."""
    text = "A film based on the novel Dune by Frank Herbert, which is set in Lisbon."
    item = ItemText("1", "Arrakis", text)

    def fact(relation: str, kind: str, name: str) -> TextFact:
        known = (item.item_id, relation, kind, name, 0.9, "trained")
        return TextFact(*known, evidence=text, start=0, end=len(text))

    stated = [
        fact("WRITTEN_BY", "Person", "Frank Herbert"),
        fact("SOURCE_AUTHOR", "Person", "Frank Herbert"),
        fact("BASED_ON", "Work", "Dune"),
        fact("SET_IN", "Place", "Lisbon"),
    ]
    kept = ItemMentions(MOVIES).about_item(item, stated)
    assert [one.relation for one in kept] == ["SOURCE_AUTHOR", "BASED_ON", "SET_IN"]


def test_it_is_listed_switched_and_extended() -> None:
    default = open_components(BOOKS, ComponentSettings())
    assert "item_mentions" in ComponentSettings().active
    off = open_components(BOOKS, ComponentSettings(components=("names", "ner", "rules")))
    assert off.mentions is None
    assert off.version == extractor_version(BOOKS) != default.version
    text = "Shelve it beside Dune."
    assert spoken(text) == {}
    words = {"en": WorkWords(likened=("shelve it beside",))}
    own = BOOKS.model_copy(update={"item_mentions": words})
    assert spoken(text, domain=own) == {"Dune": "likened"}
    assert open_components(own, ComponentSettings()).version != default.version


def test_precision_on_texts_that_speak_of_other_works() -> None:
    """With the component nothing that is right is lost, and few of the wrong facts stay."""
    texts = [one for one in TEXTS["texts"] if one["domain"] == "movies"]
    items = [ItemText(str(n), one["title"], one["text"]) for n, one in enumerate(texts)]
    wrong, right = [], []
    extractor = open_components(MOVIES, ComponentSettings()).extractor(dict)
    assert extractor is not None
    reading = list(extractor.read(items))
    counts = FusionCounts()
    for mentions in (None, ItemMentions(MOVIES)):
        read = read_beside(reading, (), MOVIES, counts, mentions=mentions)
        pairs = [
            (f"{fact.relation} {fact.entity_name}", one["facts"])
            for one, found in zip(texts, read, strict=True)
            for fact in found.facts
            if fact.relation in TEXTS["relations"]
        ]
        right.append(sum(fact in gold for fact, gold in pairs))
        wrong.append(sum(fact not in gold for fact, gold in pairs))
    assert right[1] == right[0] >= 10
    assert wrong[1] <= 1 < 5 <= wrong[0], wrong
    assert counts.of_others >= wrong[0] - wrong[1]
