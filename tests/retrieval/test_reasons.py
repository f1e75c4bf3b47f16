"""Words are grammar over facts: nothing else comes in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgrec.model.scorer import Contributions
from kgrec.retrieval.history import Event
from kgrec.retrieval.knowledge_path import KnowledgePath, PathFact
from kgrec.retrieval.reasons import did, path_words, reasons_of, shared_words
from kgrec.retrieval.records import signed_shares
from kgrec.schema import meanings_of


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


@dataclass(frozen=True)
class Known:
    """A tie whose path is known."""

    path: KnowledgePath

    @property
    def weight(self) -> float:
        return self.path.weight

    def record(self) -> KnowledgePath:
        return self.path


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


def contributions(by_item: list[float], facts: list[float], prior: float = 0.0) -> Contributions:
    """Make the contributions of one agent to one item."""
    column = np.array(by_item)[:, None]
    return Contributions(
        agents=("a",),
        alpha=np.ones(1),
        by_item=column[None],
        priors=np.array([[prior]]),
        from_facts=np.array(facts)[:, None],
        from_texts=np.zeros_like(column),
    )


APE, HAT = Event("a", "Ape", "like"), Event("h", "Hat", "like")


def test_reasons_begin_with_the_best_tie_and_say_what_they_account_for() -> None:
    ties = {"h": Known(path("STARS"))}
    reasons = reasons_of([APE, HAT], contributions([2.0, 1.0], [0.0, 0.8], 1.0), 0, ties)
    assert [(r.kind, r.words) for r in reasons] == [
        ("fact", "you liked Hat: Jo Coe plays in both"),
        ("history", "you liked Ape"),
        ("popularity", "popular, whatever the history"),
    ]
    assert [r.share for r in reasons] == pytest.approx([0.2, 0.5, 0.25])
    assert all(r.because for r in reasons)
    assert reasons_of([APE], contributions([-1.0], [0.0]), 0, {}) == ()


def test_a_fact_that_carried_nothing_is_no_cause() -> None:
    ties = {"h": Known(path("STARS"))}
    reasons = reasons_of([APE, HAT], contributions([2.0, 1.0], [0.0, 0.0]), 0, ties)
    assert [(r.kind, r.because, r.words) for r in reasons] == [
        ("history", True, "you liked Hat"),
        ("fact", False, "also Jo Coe plays in both"),
        ("history", True, "you liked Ape"),
    ]
    assert reasons[1].share == 0.0
    told = path_words(path("STARS"), HAT, because=False)
    assert told == "Also true of Hat, without a part in the score: Jo Coe plays in both."


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), max_size=6))
def test_the_absolute_values_of_signed_shares_sum_to_one(values: list[float]) -> None:
    shares = signed_shares({str(n): value for n, value in enumerate(values)})
    total = sum(abs(share) for share in shares.values())
    assert total == pytest.approx(1.0 if any(values) else 0.0)
    assert all(share * value >= 0 for share, value in zip(shares.values(), values, strict=True))
