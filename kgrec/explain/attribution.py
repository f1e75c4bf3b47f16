"""The score taken apart, and put together again without some of the history: both exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgrec.agents.coordinator import attention_of
from kgrec.agents.moments import Moments
from kgrec.agents.team import Team
from kgrec.data.dataset import IntArray
from kgrec.data.histories import Histories, one_history
from kgrec.explain.records import AgentShare, HistoryShare
from kgrec.retrieval.history import History


@dataclass(frozen=True, eq=False)
class Rescoring:
    """Scores of candidates once a few items of a history are not counted.

    The kernels' numbers are looked up once. For each part of the history the coordinator's
    attention and the length are taken anew, so the scores are those that the team would give.

    Attributes:
        team: the team.
        history: the whole history, of H items.
        raw: what each agent that is heard says, without attention and length, float64 [A, H, C].
        priors: without attention, float64 [A, C].
        moments: of each agent, for its attention.
        weights: of each agent, float64 [A].
    """

    team: Team
    history: Histories
    raw: NDArray[np.float64]
    priors: NDArray[np.float64]
    moments: tuple[Moments, ...]
    weights: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        team: Team,
        history: Histories | IntArray,
        candidates: IntArray,
        moments: tuple[Moments, ...] | None = None,
    ) -> Rescoring:
        """Look up what the kernels say of candidates (rows, [C]) for a history (or rows, [H]).

        Args:
            moments: of this very history, where they are known.
        """
        history = one_history(history, len(team.items))
        known = moments or moments_of(team, history)
        kernels = [each.kernel for each in known]
        raw = np.stack([kernel.said(history.item, candidates) for kernel in kernels])
        raw *= history.weight[:, None]
        priors = np.stack([kernel.priors(candidates) for kernel in kernels])
        heard = team.coordinator.weights > 0
        return cls(team, history, raw, priors, known, team.coordinator.weights[heard])

    def __len__(self) -> int:
        """H."""
        return len(self.history.item)

    @cached_property
    def _whole(self) -> NDArray[np.float64]:
        return np.asarray(self.raw.sum(axis=1))  # [A, C]

    def scores(self, removed: IntArray) -> NDArray[np.float64]:
        """Score the candidates without some of the history.

        Args:
            removed: positions in the history, distinct in each row, [S, N]; N may be 0.

        Returns:
            float64 [S, C].
        """
        scores = np.zeros((len(removed), self.raw.shape[2]))
        for k, moments in enumerate(self.moments):
            attention = attention_of(self.weights[k], moments.spreads(removed))
            scores += attention[:, None] * (self._said(k, removed) + self.priors[k])
        return scores

    def _said(self, k: int, removed: IntArray) -> NDArray[np.float64]:
        """Return what the history says by agent `k` without some of it, [S, C]."""
        kernel = self.moments[k].kernel
        if kernel.attention is None:
            left = max(len(self) - removed.shape[1], 1)
            said = self._whole[k] - self.raw[k][removed].sum(axis=1)
            return np.asarray(said * left**-kernel.history_power)
        left = self.history.without(removed)
        count = np.zeros((len(removed), len(self)))
        kept = np.ones_like(count, dtype=np.bool_)
        kept[np.arange(len(removed))[:, None], removed] = False
        count[kept] = kernel.attention.weights(left)
        return np.asarray(count @ self.raw[k])


def moments_of(team: Team, history: Histories | IntArray) -> tuple[Moments, ...]:
    """Take the moments of the agents that are heard for a history (or its rows, [H])."""
    pairs = zip(team.coordinator.weights, team.kernels, strict=True)
    return tuple(Moments.of(kernel, history) for weight, kernel in pairs if weight > 0)


def deletion_effects(
    team: Team,
    history: Histories | IntArray,
    item: int,
    moments: tuple[Moments, ...] | None = None,
) -> NDArray[np.float64]:
    """Return how the score of an item changes when a history item is not counted, float64 [H]."""
    rescoring = Rescoring.of(team, history, np.array([item], dtype=np.int64), moments)
    nothing = np.zeros((1, 0), dtype=np.int64)
    each = np.arange(len(rescoring), dtype=np.int64)[:, None]
    return np.asarray(rescoring.scores(each)[:, 0] - rescoring.scores(nothing)[0, 0])


def attribute(
    team: Team, history: History, item: int, moments: tuple[Moments, ...] | None = None
) -> tuple[float, tuple[AgentShare, ...], tuple[HistoryShare, ...]]:
    """Take the score of an item (a row) apart.

    Args:
        moments: of this very history, where they are known.

    Returns:
        the score, the agents, and the history items, the largest contribution first.
    """
    taken = history.taken(len(team.items))
    parts = team.parts(taken, np.array([item], dtype=np.int64))
    by_event = parts.contributions[:, :, 0]  # [A, H]
    agents = tuple(
        AgentShare(
            agent=agent,
            weight=float(parts.weights[k]),
            history=float(by_event[k].sum()),
            prior=float(parts.priors[k, 0]),
        )
        for k, agent in enumerate(parts.agents)
    )
    effects = deletion_effects(team, taken, item, moments)
    shares = by_event.sum(axis=0)
    order = np.argsort(-shares, kind="stable")
    events = tuple(
        HistoryShare(
            **vars(history.events[n]),
            contribution=float(shares[n]),
            by_agent=dict(zip(parts.agents, map(float, by_event[:, n]), strict=True)),
            deletion_effect=float(effects[n]),
        )
        for n in order.tolist()
    )
    return float(parts.total[0]), agents, events
