"""What an explanation is, as it leaves kgrec."""

from __future__ import annotations

from typing import Literal

from kgrec.config import Record
from kgrec.retrieval.records import Move, Reason


class AgentShare(Record):
    """What one agent contributes to the score.

    Attributes:
        share: how much it counts for this history; the shares sum to one, and the ranker, which
            is no agent but stands among them, has none.
        alpha: its share over the spread of its scores, which its numbers were multiplied by.
        history: what it contributes through the history.
        prior: what it adds whatever the history; to an item below those that the ranker reorders
            it adds the least that it adds to one of these.
        signed_share: of `history` and `prior` together; see `kgrec.retrieval.records`.
    """

    agent: str
    share: float
    alpha: float
    history: float
    prior: float
    signed_share: float


class HistoryShare(Record):
    """What one history item contributes to the score.

    Attributes:
        kind, value, at: the last interaction with it; `at` in milliseconds since 1970, UTC.
        contribution: its part of the score.
        by_agent: the same by agent; sums to `contribution`.
        signed_share: of `contribution`, beside the other history items and the priors.
        deletion_effect: how the score would change were it not counted. Not the contribution
            with its sign turned: the other items then share the history's weight.
    """

    item_id: str
    title: str
    kind: str
    value: float
    at: int
    contribution: float
    by_agent: dict[str, float]
    signed_share: float
    deletion_effect: float


class DeclaredShare(Record):
    """What one declared value contributes to the score, for a user without a history.

    Attributes:
        words: of the value, as what users have in common: `of occupation student`.
        contribution: its part of the score.
        signed_share: the same, beside the other values and the prior.
    """

    words: str
    contribution: float
    signed_share: float


class NamedItem(Record):
    """An item by id and title."""

    item_id: str
    title: str


class Counterfactual(Record):
    """A smallest set of history items without which the item would not be among the first `k`.

    The items stay seen and do not become candidates: they are not counted in the scores.

    Attributes:
        removed: the history items.
        k: how many are recommended.
        rank_after, score_after: of the item, once they are gone.
        replaced_by: the best of those that pass it.
        minimal: True when no smaller set does it, which was tried; False when the set was found
            greedily, and then no item of it can be spared.
    """

    removed: tuple[NamedItem, ...]
    k: int
    rank_after: int
    score_after: float
    replaced_by: NamedItem | None
    minimal: bool


class Change(Record):
    """What is no longer as it was when the list was made."""

    what: Literal["history", "profile", "model", "catalogue"]
    detail: str


class Explanation(Record):
    """Why an item is, or would be, recommended.

    The contributions of `history` and `declared` and the priors of `agents` sum to `score`, and so
    do the histories and priors of `agents`.

    Attributes:
        user_id: None for a history without a name.
        request_id: of the query that is explained: the one that was given, or a new one of the
            default query, with no filters and the default k.
        k, filters, diversity: of that query.
        changed: what has changed since the list was made; empty without a request id.
        rank: by score among the candidates, from 1.
        list_rank: as the list shows it, diversity included; None where it is not on the list.
        moves: the rules that changed its rank on the list.
        candidates: how many candidates there were, the item with them.
        candidate: False where the item was none: the filters leave it out, or it was seen.
        seen: the item is in the history; it is explained from the rest of it.
        declared: what a user without a history declares, where the list is by that; `history` is
            empty then, and there is no counterfactual.
        counterfactual_searched: whether it was searched for: False where the caller left it out, or
            where no history is scored; True with None where no small set does it.
        reasons: the short reasons, as the list has them.
        paths: reasons that are facts read from the graph, the weightiest first.
        words: sentences over all this, none with a name that is not in the graph.
    """

    user_id: str | None
    item_id: str
    title: str
    model_id: str
    vocabulary_hash: str
    request_id: str
    k: int
    filters: tuple[str, ...]
    diversity: float
    changed: tuple[Change, ...]
    score: float
    rank: int
    list_rank: int | None
    moves: tuple[Move, ...]
    candidates: int
    candidate: bool
    seen: bool
    agents: tuple[AgentShare, ...]
    history: tuple[HistoryShare, ...]
    declared: tuple[DeclaredShare, ...] = ()
    counterfactual: Counterfactual | None
    counterfactual_searched: bool = True
    reasons: tuple[Reason, ...]
    paths: tuple[Reason, ...]
    words: tuple[str, ...]
    milliseconds: float = 0.0
