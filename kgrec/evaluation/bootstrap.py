"""Confidence intervals by the percentile bootstrap over users."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from kgrec.evaluation.metrics import Values

RESAMPLES = 2000
LEVEL = 0.95
_MAX_CELLS = 4_000_000

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Weights of the users in some resamples, [R, B] with rows that sum to one, to [R, M]."""


def intervals(
    values: NDArray[np.float64],
    *,
    level: float = LEVEL,
    resamples: int | None = None,
    seed: int = 2024,
) -> tuple[Values, Values]:
    """Return the lower and the upper end of the interval of each column's mean, float64 [M].

    Efron (1979), percentile intervals: users are drawn with replacement, as often as there are
    users, the same ones for every column.

    Args:
        values: one row a user, float64 [B, M].
        level: share of the resampled means that lie within.
        resamples: how often the users are drawn; when absent 2,000 times, fewer (200 at the
            least) beyond 20,000 users, whose means hardly differ from draw to draw.
        seed: of the draws.
    """
    return resampled(
        lambda weights: weights @ values,
        len(values),
        level=level,
        resamples=resamples,
        seed=seed,
    )


def resampled(
    statistic: Statistic,
    num_users: int,
    *,
    level: float = LEVEL,
    resamples: int | None = None,
    seed: int = 2024,
) -> tuple[Values, Values]:
    """Return the ends of the interval of any statistic of weighted users; see `intervals`.

    Args:
        statistic: of the weights of the users; a resample that leaves it undefined (nan) does
            not count, and the interval of what is never defined is 0 to 0.
        num_users: B.
    """
    if resamples is None:
        resamples = min(RESAMPLES, max(200, 10 * _MAX_CELLS // max(num_users, 1)))
    drawn = np.concatenate([statistic(w) for w in weights_of(num_users, resamples, seed=seed)])
    drawn[:, np.isnan(drawn).all(axis=0)] = 0.0
    tail = (1 - level) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail], axis=0)
    return np.atleast_1d(low), np.atleast_1d(high)


def weights_of(num_users: int, resamples: int, *, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield the weights of the users in the resamples, some rows [R, B] at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _MAX_CELLS // max(num_users, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        # Drawing users by row and counting them is quicker than a multinomial of as many classes.
        drawn = rng.integers(num_users, size=(rows, num_users))
        drawn += np.arange(rows)[:, None] * num_users
        counts = np.bincount(drawn.ravel(), minlength=rows * num_users)
        yield counts.reshape(rows, num_users) / num_users
