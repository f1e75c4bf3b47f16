"""Confidence intervals by the percentile bootstrap over users.

Whether one ranker is better than another for the same users, and by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.errors import DataError
from kgrec.metrics.ranking import Values

RESAMPLES = 2000
LEVEL = 0.95
_MOST_CELLS = 4_000_000

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

    Efron (1979), percentile intervals: users are sampled with replacement, as often as there are
    users, the same ones for every column.

    Args:
        values: one row a user, float64 [B, M].
        level: share of the resampled means that lie within.
        resamples: number of resamples; None means 2,000, and fewer (at least 200) beyond 20,000
            users, where means hardly differ between resamples.
        seed: seed of the resamples.
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
        resamples = min(RESAMPLES, max(200, 10 * _MOST_CELLS // max(num_users, 1)))
    resampled = np.concatenate([statistic(w) for w in weights_of(num_users, resamples, seed=seed)])
    resampled[:, np.isnan(resampled).all(axis=0)] = 0.0
    tail = (1 - level) / 2
    low, high = np.nanquantile(resampled, [tail, 1 - tail], axis=0)
    return np.atleast_1d(low), np.atleast_1d(high)


def weights_of(num_users: int, resamples: int, *, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield the weights of the users in the resamples, some rows [R, B] at a time."""
    rng = np.random.default_rng(seed)
    step = max(1, _MOST_CELLS // max(num_users, 1))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        # Sampling users by row and counting is faster than a multinomial of as many classes.
        users = rng.integers(num_users, size=(rows, num_users))
        users += np.arange(rows)[:, None] * num_users
        counts = np.bincount(users.ravel(), minlength=rows * num_users)
        yield counts.reshape(rows, num_users) / num_users


PERMUTATIONS = 10_000
_MAX_CELLS = 4_000_000


class Difference(FrozenModel):
    """How much better one ranker is than another.

    Attributes:
        mean: of the differences between the same users.
        low, high: ends of its 95 % interval, by the paired bootstrap.
        p_value: two-sided, by the paired permutation test.
        p_holm: the same, corrected for all that was compared along with it.
    """

    mean: float
    low: float
    high: float
    p_value: float
    p_holm: float


def compare(
    ours: Mapping[str, Values],
    theirs: Mapping[str, Values],
    *,
    seed: int = 2024,
    permutations: int | None = None,
) -> dict[str, Difference]:
    """Compare two rankers user by user, in each metric that both have.

    The interval is that of the bootstrap over users of the differences; the p-value that of the
    permutation test which flips the sign of each user's difference (Smucker et al. 2007 on tests
    for retrieval), with Holm's (1979) correction over the metrics.

    Args:
        ours, theirs: metric to one value a user, float64 [B], in the same order of users.
        seed: seed of the permutations.
        permutations: how many; the least p-value is 1 / (permutations + 1). When absent 10,000,
            fewer (1,000 at the least) beyond 20,000 users.

    Raises:
        DataError: the users differ in number, or there are none.
    """
    names = [name for name in ours if name in theirs]
    if not names or {len(ours[n]) for n in names} != {len(theirs[n]) for n in names}:
        raise DataError("two rankers can only be compared on the same metrics and users")
    difference = np.column_stack([ours[name] - theirs[name] for name in names])  # [B, M]
    if not len(difference):
        raise DataError("there is no user to compare two rankers on")
    low, high = intervals(difference, seed=seed)
    if permutations is None:
        permutations = min(PERMUTATIONS, max(1000, 50 * _MAX_CELLS // len(difference)))
    p_values = permutation_test(difference, permutations=permutations, seed=seed)
    corrected = holm(p_values)
    return {
        name: Difference(
            mean=float(difference[:, column].mean()),
            low=float(low[column]),
            high=float(high[column]),
            p_value=float(p_values[column]),
            p_holm=float(corrected[column]),
        )
        for column, name in enumerate(names)
    }


def compare_at(
    ours: Mapping[int, Mapping[str, Values]],
    theirs: Mapping[int, Mapping[str, Values]],
    *,
    seed: int = 2024,
) -> dict[int, dict[str, Difference]]:
    """Compare two rankers at every length of list: `k` to metric to difference; see `compare`.

    Args:
        ours, theirs: `k` to metric to one value a user, as `HeldOutTargets.values` returns them.
    """
    pairs = [(k, name) for k, values in ours.items() for name in values]
    keys = {pair: f"{pair[1]}@{pair[0]}" for pair in pairs}
    found = compare(
        {keys[k, name]: ours[k][name] for k, name in pairs},
        {keys[k, name]: theirs[k][name] for k, name in pairs},
        seed=seed,
    )
    return {k: {name: found[keys[k, name]] for name in values} for k, values in ours.items()}


def permutation_test(
    difference: NDArray[np.float64], *, permutations: int = PERMUTATIONS, seed: int = 2024
) -> Values:
    """Return two-sided p-values of paired differences, float64 [M].

    Were the rankers alike, each user's difference could as well have the other sign. The p-value
    is the share of random signs whose mean is as far from 0 as the one seen, which itself counts
    as one of them.

    Args:
        difference: one row a user, float64 [B, M].
    """
    rng = np.random.default_rng(seed)
    # A difference that is 0 has no sign to flip.
    moved = difference[(difference != 0).any(axis=1)]
    seen = np.abs(moved.sum(axis=0))
    as_far = np.ones(difference.shape[1])
    step = max(1, _MAX_CELLS // max(len(moved), 1))
    for start in range(0, permutations, step):
        rows = min(step, permutations - start)
        signs = rng.integers(2, size=(rows, len(moved)), dtype=np.int8) * 2.0 - 1.0
        # Sums of the same terms in another order differ in their last digits.
        as_far += (np.abs(signs @ moved) >= seen * (1 - 1e-12) - 1e-12).sum(axis=0)
    return np.asarray(as_far / (permutations + 1))


def holm(p_values: Values) -> Values:
    """Correct p-values for their number, float64 [M]: Holm (1979), step-down."""
    order = np.argsort(p_values)
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected
