"""Attribution of one score: what each agent, history item and declared value contributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kgrec.explain.records import AgentShare, DeclaredShare, HistoryShare
from kgrec.model.scorer import Contributions
from kgrec.retrieval.declared import Declared
from kgrec.retrieval.history import Event
from kgrec.retrieval.records import signed_share, signed_shares


def agent_shares(parts: Contributions, shares: Mapping[str, float]) -> tuple[AgentShare, ...]:
    """Say what each agent contributes to one score.

    Args:
        parts: contributions to one item.
        shares: how much each agent counts for the history.
    """
    by_item = parts.by_item[:, :, 0]  # [A, H]
    signed = signed_shares(dict(zip(parts.agents, parts.by_agent[:, 0].tolist(), strict=True)))
    return tuple(
        AgentShare(
            agent=agent,
            share=shares.get(agent, 0.0),
            alpha=float(parts.alpha[k]),
            history=float(by_item[k].sum()),
            prior=float(parts.priors[k, 0]),
            signed_share=signed[agent],
        )
        for k, agent in enumerate(parts.agents)
    )


def history_shares(
    events: Sequence[Event], parts: Contributions, effects: NDArray[np.float64]
) -> tuple[HistoryShare, ...]:
    """Say what each history item contributes to one score, the largest contribution first.

    Args:
        events: the history, [H].
        parts: contributions to one item.
        effects: deletion effects of the history items, [H].
    """
    by_item = parts.by_item[:, :, 0]  # [A, H]
    contributions = by_item.sum(axis=0)
    total = float(parts.absolute_sums[0])
    order = np.argsort(-contributions, kind="stable")
    columns = (order, contributions[order], by_item.T[order], effects[order])
    return tuple(
        HistoryShare(
            **vars(events[n]),
            contribution=contribution,
            by_agent=dict(zip(parts.agents, by_agent, strict=True)),
            signed_share=signed_share(contribution, total),
            deletion_effect=effect,
        )
        for n, contribution, by_agent, effect in zip(*(c.tolist() for c in columns), strict=True)
    )


def declared_shares(declared: Declared, parts: Contributions) -> tuple[DeclaredShare, ...]:
    """Say what each declared value contributes to one score, the largest contribution first."""
    values = parts.by_item[:, :, 0].sum(axis=0)
    total = float(parts.absolute_sums[0])
    return tuple(
        DeclaredShare(
            words=declared.words[n],
            contribution=float(values[n]),
            signed_share=signed_share(float(values[n]), total),
        )
        for n in np.argsort(-values, kind="stable").tolist()
    )
