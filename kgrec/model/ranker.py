"""The ranker: reads a history once more for each of the best candidates, and reorders these.

    r(u, i) = Σ_h w(h | u, i) · (g(h, i) + η · ρ · (value_h − b_h)) + prior_i + η · b_i
    w(h | u, i) = v_h · exp ℓ(h, i) / Σ_h' v_h' · exp ℓ(h', i)
    ℓ(h, i) = Σ_k a_k · S_k(h, i) + recency · at_h + liking · (value_h − b_h)
    g(h, i) = Σ_k m_k · S_k(h, i) + c_0 · p_h · p_i + c_1 · |p_h − p_i|

with `S_k` the kernels of the agents, so that the weights are a softmax over cosines where these are
cosines, and `p` the popularity. The score of an item is that of the team and `blend` · r: still a
sum over the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel

Floats = NDArray[np.float64]
DAY = 86_400_000.0
_LOST = 1e-6
"""Where less than this share of a sum is left after a subtraction, it is summed anew."""
_ARRAYS = ("attention_weights", "value_weights", "popularity_weights", "popularity", "prior")
_NUMBERS = ("recency", "liking", "blend", "top")


@dataclass(frozen=True, eq=False)
class CandidateAttention:
    """One history read for some candidates.

    Attributes:
        strength: v_h · exp ℓ(h, i), up to a factor of the candidate's own, float64 [H, C].
        similarity: g, what the weights are multiplied by, float64 [H, C].
        priors: what is added whatever the history, float64 [C].
    """

    strength: Floats
    similarity: Floats
    priors: Floats

    def contributions(self) -> Floats:
        """Return what each history item adds for each candidate, float64 [H, C]."""
        return self.share_of(self.similarity)

    def share_of(self, pooled: Floats) -> Floats:
        """Return what the weights make of a part of `similarity`, float64 [H, C]."""
        total = self.strength.sum(axis=0)
        parts = self.strength * pooled
        return np.asarray(np.divide(parts, total, out=np.zeros_like(parts), where=total > 0))

    @cached_property
    def _whole(self) -> tuple[Floats, Floats, Floats]:
        """The parts of the weighted sums, [H, C], and over the history them and the weights."""
        parts = self.strength * self.similarity
        return parts, parts.sum(axis=0), self.strength.sum(axis=0)

    def without(self, removed: IntArray) -> Floats:
        """Return what is added without some history items, and the priors.

        By subtraction from the whole; where nearly all of the weight is removed, as `totals`.

        Args:
            removed: positions in the history, distinct in each row, [S, N].

        Returns:
            float64 [S, C].
        """
        parts, whole, total = self._whole
        left = total - self.strength[removed].sum(axis=1)
        pooled = whole - parts[removed].sum(axis=1)
        lost = left < _LOST * total
        found = np.divide(pooled, left, out=np.zeros_like(pooled), where=~lost) + self.priors
        rows = np.flatnonzero(lost.any(axis=1))
        if len(rows):
            kept = np.ones((len(rows), len(self.similarity)), dtype=np.bool_)
            kept[np.arange(len(rows))[:, None], removed[rows]] = False
            found[rows] = self.totals(kept)
        return np.asarray(found)

    def totals(self, kept: NDArray[np.bool_] | None = None) -> Floats:
        """Return what is added by those history items that count, and the priors.

        Args:
            kept: which history items count, bool [S, H]; all of them when absent.

        Returns:
            float64 [S, C]; S is 1 when `kept` is absent.
        """
        if kept is None:
            total = self.strength.sum(axis=0)[None]  # [S, C]
            similarity = np.einsum("hc,hc->c", self.strength, self.similarity)[None]
        else:
            mask = kept.astype(np.float64)
            total = mask @ self.strength
            similarity = mask @ (self.strength * self.similarity)
        similarity = np.divide(similarity, total, out=np.zeros_like(similarity), where=total > 0)
        return np.asarray(similarity + self.priors)


@dataclass(frozen=True, eq=False)
class Ratings:
    """What the values of a history say of the value of another item.

    Attributes:
        usual: b, the value that an item gets on average, float32 [I].
        kind: of the interactions that give values; others say nothing of them.
        trust: ρ, how much of what a user's values differ by is believed.
        weight: η, what a value is worth in the order.
    """

    item_mean: FloatArray
    kind: int
    trust: float
    weight: float = 0.0

    def residual(self, history: Histories) -> Floats:
        """Return value_h − b_h, float64 [H]; 0 where the interaction gives no value."""
        return residual(history, self.item_mean, self.kind)


def residual(history: Histories, item_mean: FloatArray, kind: int) -> Floats:
    """Return by how much the values of a history differ from the usual ones; see `Ratings`."""
    differs = history.value.astype(np.float64) - item_mean[history.item]
    return np.where(history.kind == kind, differs, 0.0)


@dataclass(frozen=True, eq=False)
class Ranker:
    """Attention between candidate and history over the similarities of the agents' kernels.

    The attention is the local activation of DIN (Zhou et al. 2018, "Deep Interest Network for
    Click-Through Rate Prediction") and of NAIS (He et al. 2018, "NAIS: Neural Attentive Item
    Similarity Model"), an item-based model as this one. What differs: queries and keys are not
    learned anew but are the kernels' own, so that some ten numbers are all there is to learn; the
    weights sum to one, as a long history already counts by its length in the team's score, which
    stays; and what they pool is a number, so that the score can be attributed.

    Attributes:
        attention_weights, value_weights: a and m, of each active agent, float64 [A].
        popularity_weights: c, float64 [2].
        recency: what a day is worth in ℓ.
        liking: what a unit of value is worth in ℓ.
        popularity: p, float32 [I].
        prior: float32 [I].
        ratings: of the values; None where the data has none.
        blend: how much of r is added to the team's score.
        top: so many items of the best scores are reordered.
    """

    attention_weights: Floats
    value_weights: Floats
    popularity_weights: Floats
    recency: float
    liking: float
    popularity: FloatArray
    prior: FloatArray
    ratings: Ratings | None = None
    blend: float = 1.0
    top: int = 200

    def read(
        self, similarity: Sequence[Floats] | Floats, history: Histories, candidates: IntArray
    ) -> CandidateAttention:
        """Read one history for candidates (rows, [C]).

        Args:
            similarity: S_k(h, i) of each active agent, in the order of the team, float64 [A, H, C].
        """
        own, wanted = (
            self.popularity[rows].astype(np.float64) for rows in (history.item, candidates)
        )
        pooled = np.subtract.outer(own, wanted)
        np.abs(pooled, out=pooled)
        pooled *= self.blend * self.popularity_weights[1]
        pooled += np.multiply.outer(self.blend * self.popularity_weights[0] * own, wanted)
        pooled += self.pooled(similarity)
        priors = self.prior[candidates].astype(np.float64)
        if self.ratings is not None and self.ratings.weight:
            differs = self.ratings.trust * self.ratings.residual(history)
            pooled += self.blend * self.ratings.weight * differs[:, None]
            priors += self.ratings.weight * self.ratings.item_mean[candidates]
        return CandidateAttention(self._strength(similarity, history), pooled, self.blend * priors)

    def pooled(self, similarity: Sequence[Floats] | Floats) -> Floats:
        """Return `blend` · Σ_k m_k · S_k, the part of g that comes from kernels, float64 [H, C].

        Args:
            similarity: of each active agent, or of a part of its kernel, float64 [A, H, C].
        """
        total = np.zeros(np.shape(similarity)[1:])
        _add_weighted(total, self.blend * self.value_weights, similarity)
        return total

    def expected(
        self, similarity: Sequence[Floats] | Floats, history: Histories, candidates: IntArray
    ) -> Floats | None:
        """Return what value the user would give candidates, float64 [C]; None where unknown.

        What an item gets on average, and how the user's values differed from the average where
        the ranker attends: an item neighbourhood (Sarwar et al. 2001) with its weights.

        Args:
            similarity: as in `read`.
        """
        if self.ratings is None:
            return None
        strength = self._strength(similarity, history)
        differs = self.ratings.trust * self.ratings.residual(history)[:, None]
        item_mean = self.ratings.item_mean[candidates].astype(np.float64)
        values = np.broadcast_to(differs, strength.shape)
        return np.asarray(CandidateAttention(strength, values, item_mean).totals()[0])

    def chosen(self, candidates: IntArray, scores: FloatArray | Floats) -> IntArray:
        """Return the positions of the candidates that are reordered, int64 [top] or fewer.

        Args:
            candidates: rows, [C].
            scores: of the team, [C].
        """
        return best_rows(scores, self.top, tie_order(len(self.popularity))[candidates])

    def chosen_of(self, candidates: IntArray, scores: Floats) -> NDArray[np.bool_]:
        """Return which candidates are reordered for each of several scorings, bool [S, C].

        Args:
            candidates: rows, [C].
            scores: of the team, finite, [S, C].
        """
        if scores.shape[1] <= self.top:
            return np.ones(scores.shape, dtype=np.bool_)
        place = scores.shape[1] - self.top
        least = np.partition(scores, place, axis=1)[:, place, None]
        best = scores >= least
        for row in np.flatnonzero(best.sum(axis=1) > self.top):  # a tie at the cut
            best[row] = False
            best[row, self.chosen(candidates, scores[row])] = True
        return best

    def added(
        self,
        kernels: Sequence[Kernel],
        history: Histories,
        candidates: IntArray,
        best: IntArray,
        *,
        with_priors: bool = True,
    ) -> Floats:
        """Return what is added to the scores of candidates, float64 [C].

        It is r for those that are reordered, and the least of these for all others, which so stay
        below and in their order.

        Args:
            candidates: rows, [C].
            best: what `chosen` gives for them.
            with_priors: False leaves out what is added whatever the history.
        """
        if not len(best):
            return np.zeros(len(candidates))
        similarity = [k.similarity(history.item, candidates[best]) for k in kernels]
        reading = self.read(similarity, history, candidates[best])
        added = reading.totals()[0] - (0.0 if with_priors else reading.priors)
        return least_below(added, best, len(candidates))

    def reorder(
        self, kernels: Sequence[Kernel], histories: Histories, scores: FloatArray
    ) -> FloatArray:
        """Add what `added` gives to the scores of all items, in place.

        A history's own items are not reordered; they get what the rest gets.

        Args:
            scores: of the team, float32 [B, I].
        """
        every = np.arange(scores.shape[1], dtype=np.int64)
        for row, each in enumerate(scores):
            history = histories[row : row + 1]
            fresh = each.copy()
            fresh[history.seen.indices] = -np.inf
            best = self.chosen(every, fresh)
            each += self.added(kernels, history, every, best).astype(np.float32)
        return scores

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        item_mean = {} if self.ratings is None else {"item_mean": self.ratings.item_mean}
        return {name: getattr(self, name) for name in _ARRAYS} | item_mean

    def settings(self) -> dict[str, Any]:
        """Return what `load` needs beside the arrays, as plain values."""
        ratings = self.ratings
        rated = None
        if ratings is not None:
            rated = {"kind": ratings.kind, "trust": ratings.trust, "weight": ratings.weight}
        return {name: getattr(self, name) for name in _NUMBERS} | {"ratings": rated}

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build a ranker again from `settings` and `arrays`."""
        rated = settings["ratings"]
        values: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        values |= {name: settings[name] for name in _NUMBERS}
        return cls(**values, ratings=rated and Ratings(arrays["item_mean"], **rated))

    def _strength(self, similarity: Sequence[Floats] | Floats, history: Histories) -> Floats:
        """Return v_h · exp ℓ(h, i), the largest about 1, [H, C].

        The softmax takes differences, so that no time but those of the history matters.
        """
        context = self.recency * days_ago(history)
        if self.ratings is not None:
            context += self.liking * self.ratings.residual(history)
        logits = np.empty(np.shape(similarity)[1:])
        logits[:] = context[:, None]
        _add_weighted(logits, self.attention_weights, similarity)
        logits -= logits.max(axis=0, initial=-np.inf) if len(logits) else 0.0
        np.exp(logits, out=logits)
        logits *= history.weight.astype(np.float64)[:, None]
        return logits


def _add_weighted(total: Floats, weights: Floats, parts: Sequence[Floats] | Floats) -> None:
    """Add arrays, each times its weight, to a total, in place."""
    scratch = np.empty_like(total)
    for weight, each in zip(weights.tolist(), parts, strict=True):
        if weight:
            total += np.multiply(each, weight, out=scratch)


def days_ago(history: Histories) -> Floats:
    """Return days from the last known time of a history, 0 or below, [H]; 0 where unknown."""
    return np.where(history.at > 0, (history.at - history.at.max(initial=0)) / DAY, 0.0)


def least_below(added: Floats, best: IntArray, count: int) -> Floats:
    """Return what is added to each of so many candidates, float64 [count].

    Args:
        added: to the best, [N]; all others get the least of these.
        best: their positions, int64 [N], N > 0.
    """
    everything = np.full(count, added.min())
    everything[best] = added
    return everything


@lru_cache(maxsize=4)
def tie_order(num_items: int) -> IntArray:
    """Return which of two items of equal score goes first, the one of the lower number, int64 [I].

    It is random, since the order of a catalogue often means something (age, popularity).
    """
    order = np.random.default_rng(2024).permutation(num_items).astype(np.int64)
    order.flags.writeable = False
    return order


def best_rows(scores: FloatArray | Floats, number: int, ties: IntArray) -> IntArray:
    """Return rows of the best finite scores, int64, at most `number`, in the order of the rows.

    Args:
        scores: [C].
        ties: of equal scores the lowest of these goes first, [C].
    """
    place = len(scores) - number
    if place > 0:
        parted = np.partition(scores, place)
        if np.isfinite(parted[place:]).all():
            return _above(scores, parted[place], number, ties)
    finite = np.flatnonzero(np.isfinite(scores)).astype(np.int64)
    if len(finite) <= number:
        return finite
    known = scores[finite]
    least = np.partition(known, len(known) - number)[len(known) - number]
    return finite[_above(known, least, number, ties[finite])]


def _above(scores: FloatArray | Floats, least: float, number: int, ties: IntArray) -> IntArray:
    """Return the rows of so many of the best scores, of which `least` is the last."""
    above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
    equal = equal[np.argsort(ties[equal])[: number - len(above)]]
    return np.sort(np.concatenate([above, equal])).astype(np.int64)
