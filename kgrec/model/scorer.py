"""One history scored: every active agent reads it once, and each question uses that reading.

score(u, i) = Σ_k α_k(u) · (Σ_{h ∈ H} w_k(h) · v_h · S_k(h, i) + b_k,i) + n(u, i) + c_i + r(u, i)

with n what rejected items add (`kgrec.model.rejection`), which is read as if they were further
items of the history, c what the context of the request adds (`ContextPriors`), and r what the
ranker adds to the best candidates. All numbers are float64 and, for the agents, the same to the
last bit whichever items are scored together (see `SummedHistory.scores`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.coordinator import Blend, Coordinator
from kgrec.model.histories import Histories, one_history
from kgrec.model.kernel import Kernel, Source
from kgrec.model.ranker import Ranker
from kgrec.model.rejection import Counted, RejectionWeights
from kgrec.model.summed_history import SummedHistory

Floats = NDArray[np.float64]
RANKER, CONTEXT = "ranker", "context"
"""The names under which the ranker, and what the context adds, stand beside the agents."""


@dataclass(frozen=True, eq=False)
class Contributions:
    """The scores of some items, split by agent and by history item.

    Attributes:
        agents: names, [A]; the last is `RANKER` where there is one.
        alpha: what each agent's numbers were multiplied by, float64 [A].
        by_item: the contribution of each history item through each agent, float64 [A, H, C]; after
            the history items stand the rejected items that count, and H is the number of both.
        priors: what each agent adds whatever the history, float64 [A, C].
        from_facts, from_texts: the part of the contributions of a history item, over all agents,
            that comes through parts of kernels which read facts, or texts, float64 [H, C]. A part
            may read both, so the two may overlap.
        expected: the value that the user would give, float64 [C]; None where unknown.
    """

    agents: tuple[str, ...]
    alpha: Floats
    by_item: Floats
    priors: Floats
    from_facts: Floats
    from_texts: Floats
    expected: Floats | None = None

    @property
    def total(self) -> Floats:
        """The scores, float64 [C]: the sum over agents of contributions and priors."""
        return np.asarray(self.by_item.sum(axis=(0, 1)) + self.priors.sum(axis=0))

    @cached_property
    def by_event(self) -> Floats:
        """What each history item contributes through all agents, float64 [H, C]."""
        return np.asarray(self.by_item.sum(axis=0))

    @cached_property
    def strongest(self) -> IntArray:
        """The history items by what they contribute to each item, the most first, int64 [C, H]."""
        return np.argsort(-self.by_event.T, axis=1, kind="stable")

    @cached_property
    def prior_sums(self) -> Floats:
        """The priors of all agents together, float64 [C]."""
        return _column_sums(self.priors)

    @cached_property
    def absolute_sums(self) -> Floats:
        """The absolute sum of what each score is made of, float64 [C]; see `signed_share`."""
        return _column_sums(np.abs(self.by_event)) + np.abs(self.prior_sums)

    @cached_property
    def text_sums(self) -> Floats:
        """What comes through parts of kernels that read texts, float64 [C]."""
        return _column_sums(self.from_texts)

    @property
    def by_agent(self) -> Floats:
        """What each agent contributes, its history and its prior together, float64 [A, C]."""
        return np.asarray(self.by_item.sum(axis=1) + self.priors)


@dataclass(frozen=True, eq=False)
class Scorer:
    """One history, read once by every agent that has a share.

    Attributes:
        history: the one history.
        agents: names of all agents, [A].
        sums: of the history, and of the rejected items that count, by the active agents, [A'].
        active: their positions among the agents, [A'].
        counted: the rejected items that count, D of them.
        blend: shares and alpha, [A, 1].
        added: what the context adds to every item, float64 [I]; None where it adds nothing.
        ranker: reorders the best, or None; one without weight (`blend` 0) gives expected values
            only.
    """

    history: Histories
    agents: tuple[str, ...]
    sums: tuple[SummedHistory, ...]
    active: NDArray[np.intp]
    counted: Counted
    blend: Blend
    ranker: Ranker | None
    added: Floats | None = None

    @classmethod
    def of(
        cls,
        history: Histories,
        kernels: Sequence[Kernel],
        coordinator: Coordinator,
        ranker: Ranker | None,
        rejection: RejectionWeights | None = None,
        added: Floats | None = None,
    ) -> Scorer:
        """Have the active agents read one history; raises DataError where there are several."""
        one = one_history(history)
        active = coordinator.active
        chosen = tuple(kernels[k] for k in active)
        weights = tuple(kernel.weights(one) for kernel in chosen)
        pairs = zip(chosen, weights, strict=True)
        sums = tuple(SummedHistory.of(kernel, one.item, each) for kernel, each in pairs)
        blend = coordinator.blend_one(one, len(kernels), sums)
        names = tuple(kernel.agent for kernel in kernels)
        counted = Counted.of(one, rejection)
        if len(counted):  # what they take from the scores is read with them, not what is compared
            pairs = zip(chosen, weights, strict=True)
            item = np.concatenate([one.item, counted.item])
            sums = tuple(SummedHistory.of(k, item, counted.beside(each)) for k, each in pairs)
        return cls(one, names, sums, active, counted, blend, ranker, added)

    @property
    def kernels(self) -> list[Kernel]:
        """Of the active agents, [A']."""
        return [each.kernel for each in self.sums]

    @cached_property
    def read_items(self) -> IntArray:
        """Rows of the history items and of the rejected items that count, int64 [H + D]."""
        return np.concatenate([self.history.item, self.counted.item])

    @property
    def alpha(self) -> Floats:
        """Share over spread of each agent, float64 [A]."""
        return self.blend.alpha[:, 0]

    @property
    def shares(self) -> dict[str, float]:
        """How much each agent counts for this history; they sum to one, or all are 0."""
        return dict(zip(self.agents, map(float, self.blend.shares[:, 0]), strict=True))

    @property
    def reordering(self) -> Ranker | None:
        """The ranker where it moves anything."""
        return self.ranker if self.ranker is not None and self.ranker.blend else None

    def scores(self, candidates: IntArray | None = None, *, with_priors: bool = True) -> Floats:
        """Score items by the agents alone, without the ranker.

        Args:
            candidates: rows, [C]; None scores the whole catalogue.
            with_priors: False leaves out what is added whatever the history.

        Returns:
            float64 [C], or [I].
        """
        size = self.history.num_items if candidates is None else len(candidates)
        scores = np.zeros(size)
        for alpha, each in self._counting:
            scores += alpha * each.scores(candidates)
            if with_priors and each.kernel.prior is not None:
                scores += alpha * each.kernel.priors(candidates)
        if with_priors and self.added is not None:
            scores += self.added if candidates is None else self.added[candidates]
        return scores

    def rank(
        self, candidates: IntArray, scores: Floats, *, with_priors: bool = True
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Let the ranker reorder the best of some candidates.

        Args:
            candidates: rows, [C].
            scores: what `scores` gives for them, float64 [C].

        Returns:
            final scores, float64 [C], and which candidates were reordered, bool [C].
        """
        reordered = np.zeros(len(candidates), dtype=np.bool_)
        ranker = self.reordering
        if ranker is None:
            return scores.copy(), reordered
        best = ranker.chosen(candidates, scores)
        reordered[best] = True
        added = ranker.added(self.kernels, self.history, candidates, best, with_priors=with_priors)
        return scores + added, reordered

    def contributions(
        self,
        candidates: IntArray,
        scores: Floats | None = None,
        reordered: NDArray[np.bool_] | None = None,
        *,
        with_priors: bool = True,
        ranked: bool = True,
    ) -> Contributions:
        """Take the scores of a few items apart.

        To an item below those that the ranker reorders it adds what does not depend on the
        history, so there it stands as a prior: the score less what the agents contribute.

        Args:
            candidates: rows, [C].
            scores: final scores, [C]; needed where some were not reordered.
            reordered: what `rank` gives for them; None takes all as reordered.
            with_priors: as in `scores`.
            ranked: False leaves the ranker out.
        """
        shape = (len(self.read_items), len(candidates))
        by_item = np.zeros((len(self.agents), *shape))
        priors = np.zeros((len(self.agents), len(candidates)))
        similarity = [k.similarity(self.read_items, candidates) for k in self.kernels]
        facts, texts = (self._through(source, candidates, similarity) for source in _SEPARATE)
        from_facts, from_texts = np.zeros(shape), np.zeros(shape)
        for n, k in enumerate(self.active):
            factor = self.alpha[k] * self.sums[n].values[:, None]
            by_item[k] = factor * similarity[n]
            from_facts += factor * facts[n]
            from_texts += factor * texts[n]
            if with_priors:
                priors[k] = self.alpha[k] * self.sums[n].kernel.priors(candidates)
        agents, alpha, expected = self.agents, self.alpha, None
        if self.added is not None:
            agents, alpha = (*agents, CONTEXT), np.append(alpha, 1.0)
            by_item = np.concatenate([by_item, np.zeros((1, *shape))])
            priors = np.concatenate([priors, self.added[candidates][None] * with_priors])
        length, rejected = len(self.history.item), ((0, len(self.counted)), (0, 0))
        similarity, facts, texts = (  # the ranker reads the history alone
            [each[:length] for each in found] for found in (similarity, facts, texts)
        )
        if self.ranker is not None and ranked:
            expected = self.ranker.expected(similarity, self.history, candidates)
        ranker = self.reordering
        if ranker is not None and ranked:
            reading = ranker.read(similarity, self.history, candidates)
            added, prior = reading.contributions(), reading.priors * with_priors
            through = [reading.share_of(ranker.pooled(part)) for part in (facts, texts)]
            if reordered is not None and scores is not None:
                below = ~reordered
                for part in (added, *through):
                    part[:, below] = 0.0
                rest = scores - by_item.sum(axis=(0, 1)) - priors.sum(axis=0)
                prior = np.where(below, rest, prior)
            added, *through = (np.pad(part, rejected) for part in (added, *through))
            agents, alpha = (*agents, RANKER), np.append(alpha, ranker.blend)
            by_item = np.concatenate([by_item, added[None]])
            priors = np.concatenate([priors, prior[None]])
            from_facts, from_texts = from_facts + through[0], from_texts + through[1]
        return Contributions(agents, alpha, by_item, priors, from_facts, from_texts, expected)

    def vector(self) -> FloatArray:
        """Return the query that belongs to `Team.item_vectors`, float32 [D + 1].

        Its inner product with an item's vector is the agents' score without the sparse rows. It is
        the zero vector when nothing counts; an index must not be queried with it.
        """
        blocks: list[Floats] = []
        for k, each in zip(self.active, self.sums, strict=True):
            alpha = self.alpha[k]
            if each.query is not None:
                blocks.append(alpha * each.query)
            if each.kernel.prior is not None:
                blocks.append(np.array([alpha]))
        return np.concatenate([*blocks, np.zeros(1)]).astype(np.float32)

    def forget_sums(self) -> None:
        """Let go of what is as large as the catalogue; it is computed again where it is needed."""
        for each in self.sums:
            each.forget_rows()

    @cached_property
    def _counting(self) -> list[tuple[float, SummedHistory]]:
        """α and sums of the agents whose scores of this history differ at all."""
        every = zip(self.alpha[self.active].tolist(), self.sums, strict=True)
        return [each for each in every if each[0] > 0]

    def _through(
        self, source: Source, candidates: IntArray, similarity: Sequence[Floats]
    ) -> list[Floats]:
        """Return the part of each kernel's similarity that was learned from a source."""
        found = []
        for kernel, whole in zip(self.kernels, similarity, strict=True):
            parts = [p for p, there in kernel.history_parts.items() if there]
            reading = [p for p in parts if source in kernel.sources(p)]
            if len(reading) in (0, len(parts)):
                found.append(whole if reading else np.zeros_like(whole))
            else:
                found.append(kernel.similarity(self.read_items, candidates, source))
        return found


def _column_sums(parts: Floats) -> Floats:
    """Return the sums of columns, [H, C] to [C], the same however many columns there are."""
    return np.asarray(np.ascontiguousarray(parts.T).sum(axis=1))


_SEPARATE: tuple[Source, Source] = ("facts", "texts")
