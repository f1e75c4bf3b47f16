"""Reports of a measurement: numbers with their intervals, time and memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.metrics.intervals import resampled
from kgrec.metrics.ranking import Values


class Metric(FrozenModel):
    """A mean over users.

    Attributes:
        mean: the mean.
        error: its standard error.
        low, high: ends of its 95 % interval, by the percentile bootstrap over users.
    """

    mean: float
    error: float
    low: float
    high: float


def metrics_of(values: Mapping[str, Values], *, seed: int = 2024) -> dict[str, Metric]:
    """Sum up one value a user in each metric; users whose value is undefined (nan) are left out.

    Args:
        values: metric to float64 [B].
        seed: of the resamples.
    """
    table = np.column_stack(list(values.values()))  # [B, M]
    known = ~np.isnan(table)
    filled = np.where(known, table, 0.0)
    count = known.sum(axis=0)
    mean = np.divide(filled.sum(axis=0), count, out=np.zeros(len(count)), where=count > 0)
    spread = np.where(known, (table - mean) ** 2, 0.0).sum(axis=0)
    error = np.sqrt(spread / np.maximum(count - 1, 1) / np.maximum(count, 1))

    def means(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weights @ known
        return np.divide(weights @ filled, total, out=np.full_like(total, np.nan), where=total > 0)

    low, high = resampled(means, len(table), seed=seed)
    numbers = zip(mean, error, low, high, strict=True)
    return {
        name: Metric(mean=float(m), error=float(e), low=float(a), high=float(b))
        for name, (m, e, a, b) in zip(values, numbers, strict=True)
    }


class RankingReport(FrozenModel):
    """What all-ranking measured.

    Attributes:
        users: test users that were measured.
        eligible: test users with something to find; more than `users` where a sample was measured.
        items: items that were ranked.
        targets: test interactions.
        repeated: test interactions left out, since the user had had the item before.
        seconds: of scoring and ranking.
        at: `k` to metric to its value.
        lists: `k` to the measures of `list_metrics`.
    """

    users: int
    eligible: int
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


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on, and the machine."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in ("kgrec", "torch", "torch-geometric", "transformers", "numpy", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return found | {"machine": machine}
