"""Drawing the candidates of a sampled softmax, each with a known probability."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray

Sampler = Literal["uniform", "popularity", "batch"]


def inclusion(
    degree: IntArray, count: int, sampler: Sampler, *, power: float = 0.75
) -> NDArray[np.float64]:
    """Return the probability of each item to be a candidate, float64 [I].

    Args:
        degree: interactions of each item, int64 [I]; one without any counts as one with one.
        count: candidates to expect, the sum; all items are certain where there are no more.
        sampler: `uniform` or `popularity`; for `batch` the count is that of the targets, each
            drawn by popularity.
        power: of the popularity.
    """
    if sampler == "batch":
        share = degree / max(int(degree.sum()), 1)
        return np.asarray(-np.expm1(count * np.log1p(-np.minimum(share, 1 - 1e-12))))
    if count >= len(degree):
        return np.ones(len(degree))
    weight = np.maximum(degree, 1.0) ** (0.0 if sampler == "uniform" else power)
    return _scaled(weight, count)


def _scaled(weight: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Scale weights so that, none of them over 1, they sum to the count."""
    chance = weight * (count / weight.sum())
    for _ in range(20):
        sure = chance >= 1.0
        left = count - int(sure.sum())
        if not sure.any() or left <= 0:
            break
        scaled = np.where(sure, 1.0, weight * (left / weight[~sure].sum()))
        if np.array_equal(scaled, chance):
            break
        chance = scaled
    return np.asarray(np.minimum(chance, 1.0))


def draw(chance: NDArray[np.float64], rng: np.random.Generator) -> IntArray:
    """Draw each item on its own with its chance; return the rows drawn, int64 sorted.

    Where none is drawn, the likeliest is, since a softmax needs one.
    """
    drawn = np.flatnonzero(rng.random(len(chance)) < chance)
    return drawn if len(drawn) else np.array([int(np.argmax(chance))])
