"""The exact score of candidates without some history items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.deadline import check
from kgrec.model.kernel import Kernel
from kgrec.model.moments import Moments
from kgrec.model.ranker import CandidateAttention
from kgrec.model.remaining import Remaining
from kgrec.model.scorer import Scorer
from kgrec.model.team import Team
from kgrec.retrieval.query import Query
from kgrec.retrieval.recent import Recent

# How many numbers of one kind are held at a time while parts of a history are scored.
_MOST_CELLS = 2_000_000
_CHEAPER = 16
"""So many history items are summed by a matrix product in the time in which one is subtracted."""
_REACH = 600
"""Without some history items other candidates may be the best, which the ranker reorders: they
are looked for among so many, or three times as many as it reorders."""


@dataclass(frozen=True, eq=False)
class Counting:
    """How agents and items count in S parts of a history, whatever is scored by it.

    Attributes:
        alpha: of the active agents, float64 [A, S].
        counts: by agent, how much each item counts, float64 [S, H], or None where all that are
            left count alike; None where it is not known.
    """

    alpha: NDArray[np.float64]
    counts: Sequence[NDArray[np.float64] | None] | None = None

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return self.alpha.size + sum(each.size for each in self.counts or () if each is not None)


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
        counting = Counting(self.scorer.alpha[self.scorer.active][:, None])
        return np.asarray(self.scores(np.zeros((1, 0), dtype=np.int64), counting)[0])

    @cached_property
    def without_each(self) -> NDArray[np.float64]:
        """The wanted scores without each one of the history items, float64 [H, wanted]."""
        if not len(self):
            return np.zeros((0, self.wanted))
        return self.scores(
            np.arange(len(self), dtype=np.int64)[:, None], self.counting_without_each
        )

    @cached_property
    def counting_without_each(self) -> Counting:
        """How agents and items count without each one of the history items."""

        def compute() -> Counting:
            each = np.arange(len(self), dtype=np.int64)[:, None]
            blocks = [self._counting(Remaining(self.scorer.history, b)) for b in self._blocks(each)]
            alpha = np.concatenate([block.alpha for block in blocks], axis=1)
            return Counting(alpha, blocks[0].counts if len(blocks) == 1 else None)

        if self.recent is None or len(self) ** 2 > _MOST_CELLS:
            return compute()
        return self.recent.counting(compute, lambda found: found.size)

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
        return self.effects(float(self.whole[0]))

    def effects(self, score: float) -> NDArray[np.float64]:
        """Return `deletion_effects`, where the first candidate's score is known."""
        without = np.concatenate([self.without_each[:, 0], self.without_each_rejected[:, 0]])
        return np.asarray(without - score)

    def scores(self, removed: IntArray, counting: Counting | None = None) -> NDArray[np.float64]:
        """Score the wanted candidates without some of the history.

        Args:
            removed: positions in the history, distinct in each row, [S, N]; N may be 0.
            counting: how agents and items count then, where it is known.

        Returns:
            float64 [S, wanted].
        """
        blocks = self._blocks(removed)
        known = [counting] * len(blocks)
        if counting is not None and len(blocks) > 1:
            ends = np.cumsum([len(block) for block in blocks])[:-1]
            known = [Counting(alpha) for alpha in np.split(counting.alpha, ends, axis=1)]
        return np.concatenate(
            [self._scores(b, counting=k) for b, k in zip(blocks, known, strict=True)]
        )

    def _blocks(self, removed: IntArray) -> list[IntArray]:
        size = max(1, _MOST_CELLS // max(len(self), self.similarity.shape[2]))
        return [removed[n : n + size] for n in range(0, max(len(removed), 1), size)]

    def _scores(
        self,
        removed: IntArray,
        rejected: NDArray[np.bool_] | None = None,
        counting: Counting | None = None,
    ) -> NDArray[np.float64]:
        """Return `scores`, where of the rejected items only some are left, bool [S, D]."""
        check()
        left, factor = Remaining(self.scorer.history, removed), self.scorer.counted.factor
        if rejected is not None:
            factor = factor * rejected
        counts = None if counting is None else counting.counts
        if counts is None:
            counts = [self._counts(each.kernel, left) for each in self.moments]
        if counting is None:
            counting = self._counting(left, counts)
        by_agent = np.empty((len(counts), len(removed), self.similarity.shape[2]))
        for k, count in enumerate(counts):
            of_history = self.similarity[k, : len(self)]
            by_agent[k] = self._summed(k, left, count, of_history, self._sums[k], self.priors[k])
            by_agent[k] += self._rejected(k, left, count, factor)
        scores = np.einsum("as,asc->sc", counting.alpha, by_agent)
        if self.scorer.added is not None:
            scores += self.scorer.added[self.rows]
        if self.reading is not None:
            few = self._few(left)
            reading = self.reading.without(removed) if few else self.reading.totals(left.kept)
            scores += self._added(scores, reading)
        return np.asarray(scores[:, : self.wanted])

    def _counting(
        self, left: Remaining, counts: Sequence[NDArray[np.float64] | None] | None = None
    ) -> Counting:
        """Return how agents and items count for what is left."""
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
        blend = coordinator.blend_spreads(spreads, left, probed)
        return Counting(blend.alpha[coordinator.active], counts)

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
