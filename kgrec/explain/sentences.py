"""The explanation in sentences: templates over numbers and facts that were just read."""

from __future__ import annotations

from collections.abc import Sequence

from kgrec.explain.records import AgentShare, Counterfactual, HistoryShare, PathReason

_PATHS_TOLD = 3
_REMOVED_TOLD = 4


def sentences(
    title: str,
    score: float,
    rank: int,
    candidates: int,
    agents: Sequence[AgentShare],
    history: Sequence[HistoryShare],
    paths: Sequence[PathReason],
    counterfactual: Counterfactual | None,
) -> tuple[str, ...]:
    """Return sentences: standing, who speaks for it, the facts, what would change it."""
    found = [f"{title} stands at {rank} of {candidates} candidates, with a score of {score:.3f}."]
    found += _speakers(history)
    found += _agents(agents)
    found += _told(paths)
    if counterfactual is not None:
        found.append(_without(title, counterfactual))
    return tuple(found)


def _speakers(history: Sequence[HistoryShare]) -> list[str]:
    best = [share.title for share in history[:3] if share.contribution > 0]
    return [f"What speaks for it most in the history: {_and(best)}."] if best else []


def _agents(agents: Sequence[AgentShare]) -> list[str]:
    shares = {each.agent: each.history + each.prior for each in agents}
    total = sum(abs(share) for share in shares.values())
    if not total:
        return []
    told = [
        f"{agent} {share / total:+.0%}"
        for agent, share in sorted(shares.items(), key=lambda pair: -abs(pair[1]))
        if share
    ]
    return [f"By agent: {', '.join(told)}."]


def _told(paths: Sequence[PathReason]) -> list[str]:
    """Tell the weightiest path of each of the first few history items."""
    told: dict[str, str] = {}
    for reason in paths:
        told.setdefault(reason.path.history.item_id, reason.words)
    return list(told.values())[:_PATHS_TOLD]


def _without(title: str, found: Counterfactual) -> str:
    titles = [item.title for item in found.removed]
    more = len(titles) - _REMOVED_TOLD
    removed = _and(titles if more <= 1 else [*titles[:_REMOVED_TOLD], f"{more} more"])
    by = "" if found.replaced_by is None else f"; {found.replaced_by.title} would pass it"
    return f"Without {removed}, {title} would fall to {found.rank_after}{by}."


def _and(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
