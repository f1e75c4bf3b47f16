"""What an explanation is, as it leaves kgrec."""

from __future__ import annotations

from kgrec.config import FrozenModel
from kgrec.retrieval.paths import KnowledgePath


class AgentShare(FrozenModel):
    """What one agent says of the item.

    Attributes:
        share: how much it is listened to for this user; the shares sum to one, and the ranker,
            which is no agent but stands among them, has none.
        weight: its share over the spread of its scores, which its numbers were multiplied by.
        history: what it says because of the history.
        prior: what it says whatever the history; of an item below those that the ranker reorders,
            the least that it adds to one of these, which is added to all below alike.
    """

    agent: str
    share: float
    weight: float
    history: float
    prior: float


class HistoryShare(FrozenModel):
    """What one history item says for the recommended one.

    Attributes:
        kind, value, at: the last interaction with it; `at` in milliseconds since 1970, UTC.
        contribution: its part of the score.
        by_agent: the same by agent; sums to `contribution`.
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
    deletion_effect: float


class NamedItem(FrozenModel):
    """An item by id and title."""

    item_id: str
    title: str


class Counterfactual(FrozenModel):
    """A smallest set of history items without which the item would not be among the first `k`.

    The items stay met, and do not become candidates: they are not counted in the scores.

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


class PathReason(FrozenModel):
    """A knowledge path and the words for it.

    Attributes:
        share: contribution of the path's history item to the score.
    """

    path: KnowledgePath
    share: float
    words: str


class Explanation(FrozenModel):
    """Why an item is, or would be, recommended to a user.

    The contributions of `history` and the priors of `agents` sum to `score`, and so do the
    histories and priors of `agents`.

    Attributes:
        rank: among the candidates, from 1.
        candidates: how many candidates there were, the item with them.
        seen: the user has met the item; it is explained from the rest of the history.
        paths: read from the graph, the weightiest first.
        words: sentences over all this, none with a name that is not in the graph.
    """

    user_id: str
    item_id: str
    title: str
    model_id: str
    vocabulary_hash: str
    score: float
    rank: int
    candidates: int
    seen: bool
    agents: tuple[AgentShare, ...]
    history: tuple[HistoryShare, ...]
    counterfactual: Counterfactual | None
    paths: tuple[PathReason, ...]
    words: tuple[str, ...]
    milliseconds: float = 0.0
