"""The explanation in sentences: templates over numbers and facts that were just read."""

from __future__ import annotations

from collections.abc import Sequence

from kgrec.explain.records import (
    AgentShare,
    Change,
    Counterfactual,
    DeclaredShare,
    HistoryShare,
)
from kgrec.retrieval.history import Event
from kgrec.retrieval.reasons import did, path_words
from kgrec.retrieval.records import Move, Reason

_PATHS = 3
_REMOVED = 4


def standing_words(
    title: str, score: float, rank: int, candidates: int, moves: Sequence[Move]
) -> list[str]:
    """Say where an item stands, and what diversity made of it."""
    found = [f"{title} stands at {rank} of {candidates} candidates, with a score of {score:.3f}."]
    found += [f"On the list it stands at {m.to_rank}, by {m.rule}: {m.why}." for m in moves]
    return found


def change_words(changed: Sequence[Change]) -> list[str]:
    """Say what has changed since the list was made."""
    return [f"Changed since the list was made: {change.detail}." for change in changed]


def contribution_words(agents: Sequence[AgentShare], history: Sequence[HistoryShare]) -> list[str]:
    """Say which history items and which agents contribute most."""
    best = [share.title for share in history[:3] if share.contribution > 0]
    found = [f"Most of it comes from {_and(best)}."] if best else []
    ordered = sorted(agents, key=lambda each: -abs(each.signed_share))
    parts = [f"{a.agent} {a.signed_share:+.0%}" for a in ordered if a.signed_share]
    return [*found, *([f"By agent: {', '.join(parts)}."] if parts else [])]


def rejection_words(rejected: Sequence[Event], history: Sequence[HistoryShare]) -> list[str]:
    """Say which rejected items take most from the score.

    Args:
        rejected: those that count.
        history: what each item contributes, the rejected ones included.
    """
    ids = {event.item_id: event for event in rejected}
    lowest = [each for each in reversed(history) if each.item_id in ids and each.contribution < 0]
    if not lowest:
        return []
    found = [f"{did(ids[each.item_id])} ({each.contribution:+.3f})" for each in lowest[:3]]
    return [f"It scores lower, as {_and(found)}."]


def declared_words(declared: Sequence[DeclaredShare]) -> list[str]:
    """Say which declared values carry the score of a user without a history."""
    if not declared:
        return []
    best = [share.words for share in declared[:3] if share.contribution > 0]
    why = (
        f"users {_and(best)} chose it more than others" if best else "no declared value favours it"
    )
    return [f"There is no history yet; {why}."]


def fact_words(paths: Sequence[Reason], events: Sequence[Event]) -> list[str]:
    """Say the weightiest path of each of the first few history items, causes first."""
    by_id = {event.item_id: event for event in events}
    found: dict[str, str] = {}
    for reason in sorted(paths, key=lambda reason: not reason.because):
        if reason.path is not None and reason.item_id is not None:
            words = path_words(reason.path, by_id[reason.item_id], because=reason.because)
            found.setdefault(reason.item_id, words)
    return list(found.values())[:_PATHS]


def counterfactual_words(title: str, found: Counterfactual | None) -> list[str]:
    """Say without which history items the item would not be on the list."""
    if found is None:
        return []
    titles = [item.title for item in found.removed]
    more = len(titles) - _REMOVED
    removed = _and(titles if more <= 1 else [*titles[:_REMOVED], f"{more} more"])
    by = "" if found.replaced_by is None else f"; {found.replaced_by.title} would pass it"
    return [f"Without {removed}, {title} would fall to {found.rank_after}{by}."]


def _and(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
