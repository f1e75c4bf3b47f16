"""Reports of a measurement: numbers with their standard errors, time and memory."""

from __future__ import annotations

import sys

import numpy as np

from kgrec.config import FrozenModel
from kgrec.evaluation.metrics import Values


class Metric(FrozenModel):
    """A mean over users and its standard error."""

    mean: float
    error: float

    @classmethod
    def of(cls, values: Values) -> Metric:
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
        return cls(mean=float(values.mean()), error=error)


class RankingReport(FrozenModel):
    """What all-ranking measured.

    Attributes:
        users: test users with something to find.
        items: items that were ranked.
        targets: test interactions.
        repeated: test interactions left out, since the user had had the item before.
        seconds: of scoring and ranking.
        at: `k` to metric to its value.
        lists: `k` to coverage, gini and novelty.
    """

    users: int
    items: int
    targets: int
    repeated: int
    seconds: float
    at: dict[int, dict[str, Metric]]
    lists: dict[int, dict[str, float]]


def peak_memory() -> int:
    """Return the most memory this process has held so far, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
