"""The score taken apart, and put together again without some of the history: both exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.agents.team import Team
from kgrec.data.dataset import IntArray
from kgrec.explain.records import AgentShare, HistoryShare
from kgrec.retrieval.history import History


@dataclass(frozen=True, eq=False)
class Rescoring:
    """Scores of candidates under parts of a history.

    The kernels' numbers are looked up once. For each part of the history the coordinator's
    attention and the length are taken anew, so the scores are those that the team would give.

    Attributes:
        team: the team.
        history: rows of the whole history, int64 [H].
        raw: what each agent says, without attention and length, float64 [A, H, C].
        priors: without attention, float64 [A, C].
    """

    team: Team
    history: IntArray
    raw: NDArray[np.float64]
    priors: NDArray[np.float64]

    @classmethod
    def of(cls, team: Team, history: IntArray, candidates: IntArray) -> Rescoring:
        """Look up what the kernels say of candidates (rows, [C]) for a history (rows, [H])."""
        raw, priors = [], []
        for kernel in team.kernels:
            parts, prior = kernel.parts(history, candidates)
            raw.append(parts * max(len(history), 1) ** kernel.history_power)
            priors.append(prior)
        return cls(team, history, np.stack(raw), np.stack(priors))

    def scores(self, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Score the candidates under several parts of the history.

        Args:
            kept: which history items are kept, bool [S, H].

        Returns:
            float64 [S, C].
        """
        shape = (len(kept), len(self.team.items))
        subset, item = np.nonzero(kept)
        ones = np.ones(len(subset), dtype=np.float32)
        histories = sp.csr_matrix((ones, (subset, self.history[item])), shape=shape)
        attention = self.team.coordinator.attention(self.team.kernels, histories)  # [A, S]
        length = np.maximum(kept.sum(axis=1), 1).astype(np.float64)
        scores = np.zeros((len(kept), self.raw.shape[2]))
        weights = kept.astype(np.float64)
        for k, kernel in enumerate(self.team.kernels):
            summed = (weights @ self.raw[k]) * (length**-kernel.history_power)[:, None]
            scores += attention[k][:, None] * (summed + self.priors[k])
        return scores


def deletion_effects(team: Team, history: IntArray, item: int) -> NDArray[np.float64]:
    """Return how the score of an item changes when a history item is taken out, float64 [H]."""
    rescoring = Rescoring.of(team, history, np.array([item], dtype=np.int64))
    whole = np.ones((1, len(history)), dtype=np.bool_)
    each = ~np.eye(len(history), dtype=np.bool_)
    return np.asarray(rescoring.scores(each)[:, 0] - rescoring.scores(whole)[0, 0])


def attribute(
    team: Team, history: History, item: int
) -> tuple[float, tuple[AgentShare, ...], tuple[HistoryShare, ...]]:
    """Take the score of an item (a row) apart.

    Returns:
        the score, the agents, and the history items, the largest contribution first.
    """
    parts = team.parts(history.rows, np.array([item], dtype=np.int64))
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
    effects = deletion_effects(team, history.rows, item)
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
