"""Words are grammar over facts: nothing else comes in."""

from __future__ import annotations

import pytest

from kgrec.retrieval.history import Event
from kgrec.retrieval.paths import KnowledgePath, PathFact, meanings_of
from kgrec.retrieval.words import did, path_words, shared_words, short_reasons


def path(relation: str, history_relation: str | None = None, name: str = "Jo Coe") -> KnowledgePath:
    entity = {"entity_id": "e", "entity": name, "entity_type": "Person", "confidence": 1.0}
    meanings = meanings_of("movies") | {"MADE_IN": "{item} made in {entity}."}
    other = history_relation or relation
    item = PathFact(
        item_id="i",
        title="Ice",
        relation=relation,
        meaning=meanings[relation].rstrip("."),
        **entity,
    )
    met = PathFact(
        item_id="h", title="Hat", relation=other, meaning=meanings[other].rstrip("."), **entity
    )
    return KnowledgePath(history=met, item=item, degree=2, weight=1.0)


@pytest.mark.parametrize(
    ("relation", "words"),
    [
        ("DIRECTED_BY", "both were directed by Jo Coe"),
        ("HAS_GENRE", "both are filed under the genre Jo Coe"),
        ("STARS", "Jo Coe plays in both"),
        ("BASED_ON", "both are based on Jo Coe"),
        ("SOURCE_AUTHOR", "both are based on a work by Jo Coe"),
        ("MUSIC_BY", "the music of both is by Jo Coe"),
        ("MEMBER", "Jo Coe is or was a member of both"),
        ("COMES_FROM", "each comes from Jo Coe"),
        ("MADE_IN", "each made in Jo Coe"),
    ],
)
def test_one_relation(relation: str, words: str) -> None:
    assert shared_words(path(relation)) == words


def test_two_relations() -> None:
    found = shared_words(path("STARS", "DIRECTED_BY"))
    assert found == "Hat was directed by Jo Coe, and Jo Coe plays in Ice"


def test_names_with_braces_are_left_alone() -> None:
    assert shared_words(path("DIRECTED_BY", name="{item}")) == "both were directed by {item}"
    assert shared_words(path("STARS", name="{0}")) == "{0} plays in both"


def test_deeds() -> None:
    assert did(Event("h", "Hat", "rating", 4.5)) == "you rated Hat 4.5"
    assert did(Event("h", "Hat", "purchase")) == "you bought Hat"
    assert did(Event("h", "Hat")) == "Hat"
    assert path_words(path("STARS"), Event("h", "Hat")) == "Because of Hat: Jo Coe plays in both."
    told = path_words(path("STARS"), Event("h", "Hat", "play"))
    assert told == "Because you played Hat: Jo Coe plays in both."


def test_reasons_begin_with_the_best_tie() -> None:
    loud, tied = Event("a", "Ape", "like"), Event("h", "Hat", "like")
    reasons = short_reasons([(loud, 2.0), (tied, 1.0)], {"h": path("STARS")})
    assert reasons == ("you liked Hat: Jo Coe plays in both", "you liked Ape")
    assert short_reasons([(loud, -1.0)], {}) == ()
