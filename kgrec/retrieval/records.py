"""What a recommendation is, as it leaves kgrec: ids and words outside, no row index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from kgrec.config import Record
from kgrec.retrieval.knowledge_path import KnowledgePath

Fallback = Literal["unknown_user", "empty_history", "untrained_item", "profile"]
ReasonKind = Literal["history", "fact", "text", "popularity", "profile"]


class Move(Record):
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


class Reason(Record):
    """One reason of a recommendation and how much of the score it accounts for.

    Attributes:
        kind: a history item, with all that it contributes; a fact that a history item shares with
            the recommended one, counted by what comes from that item through parts of the model
            that read facts; the text, counted by the parts that read texts; popularity, which is
            what is added whatever the history; a value that the user declares, in the list of
            a user without a history.
        contribution: in units of the score.
        share: the same as a signed share; see `signed_share`. Reasons may overlap: a fact is
            counted within its history item as well.
        words: short, without a capital letter or a full stop.
        because: whether it carries the score; a fact that the model did not use is not a cause,
            only also true.
        item_id: the history item.
        path: the path of a fact.
    """

    kind: ReasonKind
    contribution: float
    share: float
    words: str
    because: bool = True
    item_id: str | None = None
    path: KnowledgePath | None = None


class Recommendation(Record):
    """One recommended item.

    Attributes:
        rank: from 1.
        score: the joint score; in a fallback the number of interactions, or shared rarity.
        contributions: of each agent, history and prior together; they sum to the score. Empty in
            a fallback.
        signed_shares: the same as signed shares; see `signed_share`.
        expected_value: the value that the user may be expected to give it, such as a rating; None
            where the interactions give none.
        moves: rules that changed the rank.
    """

    rank: int
    item_id: str
    title: str
    score: float
    contributions: dict[str, float] = Field(default_factory=dict)
    signed_shares: dict[str, float] = Field(default_factory=dict)
    expected_value: float | None = None
    reasons: tuple[Reason, ...] = ()
    moves: tuple[Move, ...] = ()


class RecommendationList(Record):
    """Recommendations and how they came about.

    Attributes:
        request_id: an opaque token; an explanation that is given it is of this very list.
        cursor: an opaque token from which the next page is made; None where nothing is left.
        user_id: None for an anonymous history.
        model_id, vocabulary_hash: the model that was live, and its items.
        fallback: why no history was scored, or None when one was; `profile` means that the
            list is personal by what the user declares.
        history: how many items of the history the model knows.
        candidates: how many items were scored.
        shares: how much each agent counts for this history; they sum to one. Empty in a fallback.
        filtered: how many candidates the filters took away.
        context: the fields of the context that the scores depend on: `time`, `events`, `device`,
            `scenario`.
        milliseconds: from the question to the answer.
    """

    items: tuple[Recommendation, ...]
    model_id: str
    vocabulary_hash: str
    request_id: str = ""
    cursor: str | None = None
    user_id: str | None = None
    fallback: Fallback | None = None
    history: int = 0
    candidates: int = 0
    shares: dict[str, float] = Field(default_factory=dict)
    filtered: int = 0
    context: tuple[str, ...] = ()
    milliseconds: float = 0.0


def signed_share(contribution: float, absolute_sum: float) -> float:
    """Return a contribution over the sum of the absolute values of all contributions.

    This is what kgrec means by a percentage of a score, everywhere: the absolute values of the
    parts of a whole sum to one, and the sign is whether a part adds to the score or takes from
    it. It is 0 where all contributions are.

    Args:
        absolute_sum: of all contributions to the score.
    """
    return contribution / absolute_sum if absolute_sum else 0.0


def signed_shares(contributions: Mapping[str, float]) -> dict[str, float]:
    """Return the signed share of each contribution to one score."""
    total = sum(abs(value) for value in contributions.values())
    return {name: signed_share(value, total) for name, value in contributions.items()}
