"""The score taken apart, and put together again without some of the history: both exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.explain.records import AgentShare, HistoryShare
from kgrec.model.histories import Histories, one_history
from kgrec.model.kernel import Kernel
from kgrec.model.moments import Moments
from kgrec.model.ranker import CandidateAttention, least_below
from kgrec.model.team import Team
from kgrec.retrieval.history import History
from kgrec.retrieval.scoring import Scored, take_apart

# How many numbers of one kind are held at a time while parts of a history are scored.
_MOST_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Rescoring:
    """Scores of candidates once a few items of a history are not counted.

    The kernels' numbers are looked up once. For each part of the history the coordinator's
    attention, the length and what the ranker reorders are taken anew, so the scores are those
    that the team would give.

    Attributes:
        team: the team.
        history: the whole history, of H items.
        rows: of the candidates, int64 [C]: those that are asked for, then those beside which the
            ranker sees them.
        asked: so many are asked for.
        raw: what each agent that is heard says, without attention and length, float64 [A, H, C].
        priors: without attention, float64 [A, C].
        moments: of each agent, for its attention.
        probed: as `raw`, of the items by which the coordinator sees whether agents agree.
        probed_priors: as `priors`, likewise.
        reading: what the ranker adds; None where there is none.
    """

    team: Team
    history: Histories
    rows: IntArray
    asked: int
    raw: NDArray[np.float64]
    priors: NDArray[np.float64]
    moments: tuple[Moments, ...]
    probed: NDArray[np.float64]
    probed_priors: NDArray[np.float64]
    reading: CandidateAttention | None

    @classmethod
    def of(
        cls,
        team: Team,
        history: Histories | IntArray,
        candidates: IntArray,
        moments: tuple[Moments, ...] | None = None,
        beside: IntArray | None = None,
    ) -> Rescoring:
        """Look up what the kernels say of candidates (rows) for a history (or rows, [H]).

        Args:
            moments: of this very history, where they are known.
            beside: rows of further candidates, whose scores are not asked for, but which the
                ranker may reorder before those that are.
        """
        history = one_history(history, len(team.items))
        known = moments or moments_of(team, history)
        gate = team.coordinator.gate
        probes = np.empty(0, dtype=np.int64) if gate is None else gate.probes
        kernels = [each.kernel for each in known]
        ranker, rows = team.ranking, candidates
        if ranker is not None and beside is not None:
            together = np.concatenate([candidates, beside])
            rows = together if len(together) > ranker.top else candidates
        both = [_looked_up(kernels, history, items) for items in (rows, probes)]
        reading = None if ranker is None else ranker.from_similarity(both[0][0], history, rows)
        return cls(team, history, rows, len(candidates), *both[0], known, *both[1], reading)

    def __len__(self) -> int:
        """H."""
        return len(self.history.item)

    def scores(self, removed: IntArray) -> NDArray[np.float64]:
        """Score the candidates that are asked for without some of the history.

        Args:
            removed: positions in the history, distinct in each row, [S, N]; N may be 0.

        Returns:
            float64 [S, asked].
        """
        block = max(1, _MOST_CELLS // max(len(self), self.raw.shape[2]))
        starts = range(0, max(len(removed), 1), block)
        return np.concatenate([self._scores(removed[n : n + block]) for n in starts])

    def _scores(self, removed: IntArray) -> NDArray[np.float64]:
        left = self.history.without(removed)
        kept = np.ones((len(removed), len(self)), dtype=np.bool_)
        kept[np.arange(len(removed))[:, None], removed] = False
        weights = [each.kernel.weights(left) for each in self.moments]
        counts = [_counts(weight, kept) for weight in weights]
        similarity = _said(counts, self.raw, self.priors)
        active = zip(self.moments, weights, strict=True)
        spreads = [moments.spreads(removed, left, weight) for moments, weight in active]
        scores = np.einsum("as,asc->sc", self._attention(left, spreads, counts), similarity)
        if self.reading is not None:
            scores += self._added(scores, self.reading.totals(kept))
        return np.asarray(scores[:, : self.asked])

    def _added(
        self, scores: NDArray[np.float64], similarity: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what the ranker adds where it says this of all candidates, [S, C]."""
        ranker = self.team.ranking
        if ranker is None or scores.shape[1] <= ranker.top:
            return similarity
        added = np.empty_like(similarity)
        for each, row, all_said in zip(added, scores, similarity, strict=True):
            best = ranker.chosen(self.rows, row)
            each[:] = least_below(all_said[best], best, len(row))
        return added

    def _attention(
        self,
        left: Histories,
        spreads: Sequence[NDArray[np.float64]],
        counts: Sequence[NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        """Return α of the agents that are heard, [A, S]."""
        coordinator = self.team.coordinator
        every = np.zeros((len(self.team.kernels), left.shape[0]))
        every[coordinator.active] = spreads
        probed = _said(counts, self.probed, self.probed_priors)
        return coordinator.blend_spreads(every, left, probed).alpha[coordinator.active]


def _counts(weights: FloatArray, kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how much each item of the history counts where only some are left, [S, H]."""
    counts = np.zeros(kept.shape)
    counts[kept] = weights
    return counts


def _said(
    counts: Sequence[NDArray[np.float64]], raw: NDArray[np.float64], priors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what each agent says of each candidate, [A, S, C]."""
    return np.stack(
        [
            count @ similarity + prior
            for count, similarity, prior in zip(counts, raw, priors, strict=True)
        ]
    )


def _looked_up(
    kernels: Sequence[Kernel], history: Histories, items: IntArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    raw = np.stack([kernel.similarity(history.item, items) for kernel in kernels])
    return raw, np.stack([kernel.priors(items) for kernel in kernels])


def moments_of(team: Team, history: Histories | IntArray) -> tuple[Moments, ...]:
    """Take the moments of the agents that are heard for a history (or its rows, [H])."""
    pairs = zip(team.coordinator.weights, team.kernels, strict=True)
    return tuple(Moments.of(kernel, history) for weight, kernel in pairs if weight > 0)


def deletion_effects(
    team: Team,
    history: Histories | IntArray,
    item: int,
    moments: tuple[Moments, ...] | None = None,
    beside: IntArray | None = None,
) -> NDArray[np.float64]:
    """Return how the score of an item changes when a history item is not counted, float64 [H].

    Args:
        moments, beside: see `Rescoring.of`.
    """
    rescoring = Rescoring.of(team, history, np.array([item], dtype=np.int64), moments, beside)
    nothing = np.zeros((1, 0), dtype=np.int64)
    each = np.arange(len(rescoring), dtype=np.int64)[:, None]
    return np.asarray(rescoring.scores(each)[:, 0] - rescoring.scores(nothing)[0, 0])


def attribute(
    team: Team,
    history: History,
    scored: Scored,
    position: int,
    moments: tuple[Moments, ...] | None = None,
) -> tuple[float, tuple[AgentShare, ...], tuple[HistoryShare, ...]]:
    """Take the score of an item apart.

    Args:
        scored: the item and the candidates that it was scored with.
        position: of the item among them.
        moments: of this very history, where they are known.

    Returns:
        the score, the agents, and the history items, the largest contribution first.
    """
    taken = history.taken(len(team.items))
    active = team.blend(taken)
    attention = active.alpha[:, 0]
    listened = dict(zip(team.agents, map(float, active.shares[:, 0]), strict=True))
    parts = take_apart(team, history, scored, [position], attention=attention).parts
    by_event = parts.contributions[:, :, 0]  # [A, H]
    agents = tuple(
        AgentShare(
            agent=agent,
            share=listened.get(agent, 0.0),
            weight=float(parts.weights[k]),
            history=float(by_event[k].sum()),
            prior=float(parts.priors[k, 0]),
        )
        for k, agent in enumerate(parts.agents)
    )
    beside = np.delete(scored.rows, position)
    effects = deletion_effects(team, taken, int(scored.rows[position]), moments, beside)
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
    return float(scored.scores[position]), agents, events
