"""Attribution of the score, and the exact score without some history items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.deadline import check
from kgrec.explain.records import AgentShare, DeclaredShare, HistoryShare
from kgrec.model.kernel import Kernel
from kgrec.model.moments import Moments
from kgrec.model.ranker import CandidateAttention
from kgrec.model.remaining import Remaining
from kgrec.model.scorer import Contributions, Scorer
from kgrec.model.team import Team
from kgrec.retrieval.declared import Declared
from kgrec.retrieval.history import Event
from kgrec.retrieval.query import Query
from kgrec.retrieval.reasons import absolute_sum
from kgrec.retrieval.recent import Recent
from kgrec.retrieval.records import signed_share, signed_shares

# How many numbers of one kind are held at a time while parts of a history are scored.
_MOST_CELLS = 2_000_000
_CHEAPER = 16
"""So many history items are summed by a matrix product in the time in which one is subtracted."""
_REACH = 600
"""Without some history items other candidates may be the best, which the ranker reorders: they
are looked for among so many, or three times as many as it reorders."""


@dataclass(frozen=True, eq=False)
class Rescoring:
    """Scores of candidates once a few items of a history are not counted.

    The similarities are looked up once. For each part of the history the weights, the shares,
    alpha, the length and what the ranker reorders are computed again, so the scores are those
    that the team would give.

    Attributes:
        team: the team.
        scorer: the whole history, of H items, as its agents read it, and D rejected items.
        rows: of the candidates, int64 [C]: those whose scores are wanted, then those beside which
            the ranker sees them.
        wanted: so many are wanted.
        similarity: S_k(h, i) of each active agent, float64 [A, H + D, C].
        priors: b_k, float64 [A, C].
        moments: of each active agent, for its spread.
        probe_similarity, probe_priors: as `similarity` and `priors`, of the items by which the
            gate sees whether agents agree.
        reading: what the ranker adds; None where there is none.
        recent: what earlier requests computed for the same history; None where that is not kept.
    """

    team: Team
    scorer: Scorer
    rows: IntArray
    wanted: int
    similarity: NDArray[np.float64]
    priors: NDArray[np.float64]
    moments: tuple[Moments, ...]
    probe_similarity: NDArray[np.float64]
    probe_priors: NDArray[np.float64]
    reading: CandidateAttention | None
    recent: Recent | None = None

    @classmethod
    def of(
        cls,
        team: Team,
        scorer: Scorer,
        candidates: IntArray,
        beside: IntArray | None = None,
        recent: Recent | None = None,
    ) -> Rescoring:
        """Look up the similarities of candidates (rows) with a history.

        Args:
            beside: rows of further candidates, whose scores are not wanted, but which the ranker
                may reorder before those that are.
            recent: see `Rescoring`.
        """
        gate = team.coordinator.gate
        probes = np.empty(0, dtype=np.int64) if gate is None else gate.probes
        ranker, rows = scorer.reordering, candidates
        if ranker is not None and beside is not None:
            together = np.concatenate([candidates, beside])
            rows = together if len(together) > ranker.top else candidates
        similarity, priors = _looked_up(scorer, rows, scorer.read_items)
        moments = tuple(Moments.of(kernel, scorer.history) for kernel in scorer.kernels)
        probed = _looked_up(scorer, probes, scorer.history.item)
        reading = None
        if ranker is not None:
            of_history = similarity[:, : len(scorer.history.item)]
            reading = ranker.read(of_history, scorer.history, rows)
        known = (similarity, priors, moments, *probed, reading, recent)
        return cls(team, scorer, rows, len(candidates), *known)

    @classmethod
    def of_query(cls, query: Query, position: int, others: int) -> Rescoring | None:
        """Look up what is needed for one candidate of a query and the best others.

        None where no history is scored: there is nothing to leave out.

        Args:
            position: of the candidate in the order of scores; it comes first.
            others: the scores of so many others are wanted.
        """
        scored = query.scored
        if not isinstance(query.scorer, Scorer):
            return None
        rest = np.delete(scored.rows, position)
        rows = np.concatenate([scored.rows[[position]], rest[:others]])
        beside = cls.beside(query, position, others)
        return cls.of(query.live.team, query.scorer, rows, beside, query.recent)

    @staticmethod
    def beside(query: Query, position: int, others: int) -> IntArray:
        """Return the rows of further candidates that the ranker may reorder, [C]."""
        scorer = query.scorer
        ranker = scorer.reordering if isinstance(scorer, Scorer) else None
        reach = others if ranker is None else max(others, _REACH, 3 * ranker.top)
        return np.delete(query.scored.rows, position)[others:reach]

    def __len__(self) -> int:
        """H; rejected items are no part of what is removed together."""
        return len(self.scorer.history.item)

    @cached_property
    def whole(self) -> NDArray[np.float64]:
        """The wanted scores with the whole history, float64 [wanted]."""
        alpha = self.scorer.alpha[self.scorer.active][:, None]
        return np.asarray(self.scores(np.zeros((1, 0), dtype=np.int64), alpha)[0])

    @cached_property
    def without_each(self) -> NDArray[np.float64]:
        """The wanted scores without each one of the history items, float64 [H, wanted]."""
        if not len(self):
            return np.zeros((0, self.wanted))
        each = np.arange(len(self), dtype=np.int64)[:, None]
        return self.scores(each, self.alpha_without_each)

    @cached_property
    def alpha_without_each(self) -> NDArray[np.float64]:
        """Alpha of the active agents without each one of the history items, float64 [A, H]."""

        def compute() -> NDArray[np.float64]:
            each = np.arange(len(self), dtype=np.int64)[:, None]
            left = [Remaining(self.scorer.history, block) for block in self._blocks(each)]
            return np.concatenate([self._alpha(part) for part in left], axis=1)

        return compute() if self.recent is None else self.recent.alpha_without_each(compute)

    @cached_property
    def without_each_rejected(self) -> NDArray[np.float64]:
        """The wanted scores without each one of the rejected items, float64 [D, wanted]."""
        number = len(self.scorer.counted)
        if not number:
            return np.zeros((0, self.wanted))
        return self._scores(np.zeros((number, 0), dtype=np.int64), ~np.eye(number, dtype=np.bool_))

    @property
    def deletion_effects(self) -> NDArray[np.float64]:
        """How the first candidate's score changes without each item, float64 [H + D]."""
        without = np.concatenate([self.without_each[:, 0], self.without_each_rejected[:, 0]])
        return np.asarray(without - self.whole[0])

    def scores(
        self, removed: IntArray, alpha: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Score the wanted candidates without some of the history.

        Args:
            removed: positions in the history, distinct in each row, [S, N]; N may be 0.
            alpha: of the active agents then, [A, S], where it is known.

        Returns:
            float64 [S, wanted].
        """
        found, done = [], 0
        for block in self._blocks(removed):
            known = None if alpha is None else alpha[:, done : done + len(block)]
            found.append(self._scores(block, alpha=known))
            done += len(block)
        return np.concatenate(found)

    def _blocks(self, removed: IntArray) -> list[IntArray]:
        size = max(1, _MOST_CELLS // max(len(self), self.similarity.shape[2]))
        return [removed[n : n + size] for n in range(0, max(len(removed), 1), size)]

    def _scores(
        self,
        removed: IntArray,
        rejected: NDArray[np.bool_] | None = None,
        alpha: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Return `scores`, where of the rejected items only some are left, bool [S, D]."""
        check()
        left, factor = Remaining(self.scorer.history, removed), self.scorer.counted.factor
        if rejected is not None:
            factor = factor * rejected
        counts = [self._counts(each.kernel, left) for each in self.moments]
        by_agent = np.empty((len(counts), len(removed), self.similarity.shape[2]))
        for k, count in enumerate(counts):
            of_history = self.similarity[k, : len(self)]
            by_agent[k] = self._summed(k, left, count, of_history, self._sums[k], self.priors[k])
            by_agent[k] += self._rejected(k, left, count, factor)
        if alpha is None:
            alpha = self._alpha(left, counts)
        scores = np.einsum("as,asc->sc", alpha, by_agent)
        if self.scorer.added is not None:
            scores += self.scorer.added[self.rows]
        if self.reading is not None:
            few = self._few(left)
            reading = self.reading.without(removed) if few else self.reading.totals(left.kept)
            scores += self._added(scores, reading)
        return np.asarray(scores[:, : self.wanted])

    def _alpha(
        self, left: Remaining, counts: Sequence[NDArray[np.float64] | None] | None = None
    ) -> NDArray[np.float64]:
        """Return alpha of the active agents for what is left, float64 [A, S]."""
        if counts is None:
            counts = [self._counts(each.kernel, left) for each in self.moments]
        probed = np.empty((len(counts), len(left), self.probe_similarity.shape[2]))
        for k, count in enumerate(counts):
            of_probes = (self.probe_similarity[k], self._probe_sums[k], self.probe_priors[k])
            probed[k] = self._summed(k, left, count, *of_probes)
        pairs = zip(self.moments, counts, strict=True)
        spreads = np.zeros((len(self.team.kernels), len(left)))
        coordinator = self.team.coordinator
        spreads[coordinator.active] = [each.spreads(left.removed, count) for each, count in pairs]
        return coordinator.blend_spreads(spreads, left, probed).alpha[coordinator.active]

    def _few(self, left: Remaining) -> bool:
        """Whether so few items are removed that subtracting them is less work than a sum anew."""
        alike = bool(np.all(self.scorer.history.weight == 1.0))
        return alike and left.removed.shape[1] * _CHEAPER < len(self)

    def _counts(self, kernel: Kernel, left: Remaining) -> NDArray[np.float64] | None:
        """Return how much each item counts, [S, H]; None where all that are left count alike."""
        if kernel.attention is None and self._few(left):
            return None
        return kernel.weights_without(left)

    def _summed(
        self,
        agent: int,
        left: Remaining,
        counts: NDArray[np.float64] | None,
        similarity: NDArray[np.float64],
        whole: NDArray[np.float64],
        prior: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the scores of some items by an agent, before alpha, [S, C].

        Args:
            similarity, whole, prior: of the items: with the history, [H, C], its sum, and b.
        """
        if counts is not None:
            return np.asarray(counts @ similarity + prior)
        less = similarity[left.removed].sum(axis=1)
        return np.asarray(_alike(self.moments[agent].kernel, left) * (whole - less) + prior)

    def _rejected(
        self,
        agent: int,
        left: Remaining,
        counts: NDArray[np.float64] | None,
        factor: NDArray[np.float64],
    ) -> NDArray[np.float64] | float:
        """Return what the rejected items add to that, [S, C]: each counts as an item does."""
        if not len(self.scorer.counted):
            return 0.0
        if counts is None:
            mean = _alike(self.moments[agent].kernel, left)
        else:
            mean = counts.sum(axis=1, keepdims=True) / np.maximum(left.lengths, 1)[:, None]
        return np.asarray((mean * factor) @ self.similarity[agent, len(self) :])

    @cached_property
    def _sums(self) -> NDArray[np.float64]:
        """What the history sums up to, [A, C]."""
        return np.asarray(self.similarity[:, : len(self)].sum(axis=1))

    @cached_property
    def _probe_sums(self) -> NDArray[np.float64]:
        """The same of the gate's probes, [A, P]."""
        return np.asarray(self.probe_similarity.sum(axis=1))

    def _added(
        self, scores: NDArray[np.float64], reading: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what the ranker adds where it would add this to all candidates, [S, C]."""
        ranker = self.scorer.reordering
        if ranker is None or scores.shape[1] <= ranker.top:
            return reading
        best = ranker.chosen_of(self.rows, scores)
        least = np.where(best, reading, np.inf).min(axis=1, keepdims=True)
        return np.where(best, reading, least)


def _alike(kernel: Kernel, left: Remaining) -> NDArray[np.float64]:
    """Return what each item counts where all count alike, rounded as weights are, [S, 1]."""
    scale = np.maximum(left.lengths, 1).astype(np.float64) ** -kernel.history_power
    return scale.astype(np.float32).astype(np.float64)[:, None]


def _looked_up(
    scorer: Scorer, items: IntArray, of: IntArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    similarity = [kernel.similarity(of, items) for kernel in scorer.kernels]
    return np.stack(similarity), np.stack([kernel.priors(items) for kernel in scorer.kernels])


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
    total = absolute_sum(contributions, float(parts.priors[:, 0].sum()))
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
    total = absolute_sum(values, float(parts.priors[:, 0].sum()))
    return tuple(
        DeclaredShare(
            words=declared.words[n],
            contribution=float(values[n]),
            signed_share=signed_share(float(values[n]), total),
        )
        for n in np.argsort(-values, kind="stable").tolist()
    )
