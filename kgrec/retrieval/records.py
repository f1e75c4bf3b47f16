"""What a recommendation is, as it leaves kgrec: ids and words outside, no row index."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kgrec.config import FrozenModel

Fallback = Literal["unknown_user", "empty_history", "untrained_item"]


class Move(FrozenModel):
    """A rule that changed the order of the scores, for one item.

    Attributes:
        rule: name of the rule.
        from_rank, to_rank: ranks from 1, before and after.
        why: in words.
    """

    rule: str
    from_rank: int
    to_rank: int
    why: str


class Recommendation(FrozenModel):
    """One recommended item.

    Attributes:
        rank: from 1.
        score: the joint score; in a fallback the number of interactions, or shared rarity.
        contributions: share of each agent, history and prior together; they sum to the score.
            Empty in a fallback.
        expected_value: the value that the user may be expected to give it, such as a rating; None
            where the interactions give none.
        reasons: short words.
        moves: rules that changed the rank.
    """

    rank: int
    item_id: str
    title: str
    score: float
    contributions: dict[str, float] = Field(default_factory=dict)
    expected_value: float | None = None
    reasons: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()


class RecommendationList(FrozenModel):
    """Recommendations and how they came about.

    Attributes:
        user_id: None for an anonymous history.
        model_id, vocabulary_hash: the model that was live, and its items.
        fallback: why the model could not speak, or None when it did.
        history: how many items of the history the model knows.
        candidates: how many items were scored.
        weights: how much each agent is listened to for this user; they sum to one. Empty in a
            fallback.
        filtered: how many candidates the filters took away.
        milliseconds: from the question to the answer.
    """

    items: tuple[Recommendation, ...]
    model_id: str
    vocabulary_hash: str
    user_id: str | None = None
    fallback: Fallback | None = None
    history: int = 0
    candidates: int = 0
    weights: dict[str, float] = Field(default_factory=dict)
    filtered: int = 0
    milliseconds: float = 0.0
