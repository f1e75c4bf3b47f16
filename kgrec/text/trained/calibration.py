"""Confidence that is right as often as it states, and the table that shows it.

Platt scaling (1999) of a probability's logit: two numbers, fitted on texts that no network was
trained on, with Platt's targets so that few examples do not give certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel

_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0)
_FEW = 20


class PlattScale(FrozenModel):
    """`confidence = sigmoid(slope * logit(probability) + offset)`."""

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, probability: float) -> float:
        """Return the confidence of one probability."""
        value = self.slope * float(_logit(np.asarray(probability))) + self.offset
        return float(1 / (1 + np.exp(-value)))


class ReliabilityBin(FrozenModel):
    """Predictions of about one confidence: how many, their mean confidence, the share right."""

    above: float
    below: float
    count: int
    confidence: float
    right: float


class Reliability(FrozenModel):
    """How far confidence can be trusted.

    Attributes:
        bins: those that hold any prediction.
        error: mean distance of confidence and share right, weighted by count (expected
            calibration error; Naeini et al., AAAI 2015).
    """

    bins: tuple[ReliabilityBin, ...]
    error: float


def fit_scale(probabilities: Sequence[float], right: Sequence[bool]) -> PlattScale:
    """Fit a scale by Newton's method; with fewer than 20 examples it changes nothing."""
    if len(right) < _FEW:
        return PlattScale()
    x = _logit(np.asarray(probabilities, dtype=np.float64))
    hits = np.asarray(right, dtype=np.float64)
    many, few = hits.sum(), len(hits) - hits.sum()
    target = np.where(hits > 0, (many + 1) / (many + 2), 1 / (few + 2))
    features = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        share = 1 / (1 + np.exp(-(features @ weights)))
        slope = features.T @ (share - target) + 1e-3 * (weights - np.array([1.0, 0.0]))
        curve = (features * (share * (1 - share))[:, None]).T @ features + 1e-3 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        weights = weights - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-8:
            break
    # A scale must keep the order of probabilities.
    return PlattScale(slope=max(float(weights[0]), 1e-3), offset=float(weights[1]))


def reliability(confidences: Sequence[float], right: Sequence[bool]) -> Reliability:
    """Return the table of confidences against what was right."""
    values, hits = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    bins: list[ReliabilityBin] = []
    for low, high in pairwise(_EDGES):
        inside = (values >= low) & ((values < high) | (high == 1.0))
        if inside.any():
            mean, share = float(values[inside].mean()), float(hits[inside].mean())
            count = int(inside.sum())
            bins.append(
                ReliabilityBin(above=low, below=high, count=count, confidence=mean, right=share)
            )
    total = sum(one.count for one in bins)
    error = sum(one.count * abs(one.confidence - one.right) for one in bins) / max(total, 1)
    return Reliability(bins=tuple(bins), error=error)


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(bounded / (1 - bounded)), dtype=np.float64)
