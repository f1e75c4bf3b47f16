"""Ids and titles: the same thing always gets the same name."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgrec.data.records import (
    InteractionRecord,
    display_title,
    entity_id,
    folded,
    interaction_key,
)

names = st.text(min_size=1, max_size=40)


@given(names)
def test_folding_twice_is_folding_once(name: str) -> None:
    assert folded(folded(name)) == folded(name)


@given(names)
def test_spelling_that_does_not_matter_gives_one_id(name: str) -> None:
    composed = unicodedata.normalize("NFC", name)
    decomposed = unicodedata.normalize("NFD", name)
    assert entity_id("Person", composed) == entity_id("Person", decomposed)
    assert entity_id("Person", f"  {name}\t") == entity_id("Person", name)


def test_an_entity_id_names_type_and_name() -> None:
    assert entity_id("Person", "Tom\u00a0 HANKS ") == "Person:tom hanks"
    assert entity_id("Place", "Straße") == entity_id("Place", "STRASSE")
    assert entity_id("Person", "Paris") != entity_id("Place", "Paris")


@pytest.mark.parametrize(
    ("moved", "shown"),
    [
        ("Godfather, The", "The Godfather"),
        ("Postino, Il (1994)", "Il Postino (1994)"),
        ("Misérables, Les", "Les Misérables"),
        ("Argent, L'", "L'Argent"),
        ("Good, the Bad and the Ugly, The", "The Good, the Bad and the Ugly"),
        ("Hello, Dolly!", "Hello, Dolly!"),
        ("Twelve Monkeys", "Twelve Monkeys"),
    ],
)
def test_a_moved_article_is_put_back(moved: str, shown: str) -> None:
    assert display_title(moved) == shown
    assert display_title(shown) == shown


def test_an_interaction_is_told_by_kind_and_time() -> None:
    one = InteractionRecord("u", "i", "rating", 3.0, 881_250_949_000)
    assert one.key == interaction_key("rating", 881_250_949_000) == "rating@881250949000"
