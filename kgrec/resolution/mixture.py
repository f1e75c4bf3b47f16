"""Which share of the best candidates are matches: a mixture of two skewed lumps, or one.

Every start is fitted by EM and the likeliest fit counts that is a mixture: whose lumps lie apart,
and whose lump of strangers looks like strangers. The best of many strangers leads the second by
little more than the second leads the third; a partner leads by much more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Float = NDArray[np.float64]

_STARTS = (0.03, 0.08, 0.2, 0.4, 0.7, 0.95)
_ROUNDS = 40
_APART = 1.0
_MOST_LEAD = 4.0
_NONE = 1e-3
_PRIOR = 3.0
_BODY = 2.0


@dataclass(frozen=True)
class _Lump:
    """A normal body of two widths; beyond `body` widths its tails are exponential."""

    middle: float
    below: float
    above: float
    body: float = _BODY

    @classmethod
    def fit(cls, values: Float, weight: Float, floor: float, body: float = _BODY) -> _Lump:
        weight = weight + 1e-9
        order = np.argsort(values)
        total = np.cumsum(weight[order])
        middle = values[order[min(np.searchsorted(total, total[-1] / 2), len(values) - 1)]]
        apart, low = values - middle, values < middle
        widths = [
            np.sqrt(((weight * apart**2)[side].sum() + _PRIOR * floor**2)
                    / (weight[side].sum() + _PRIOR))
            for side in (low, ~low)
        ]  # fmt: skip
        below, above = (max(float(width), floor / 4) for width in widths)
        return cls(float(middle), below, above, body)

    def log(self, values: Float) -> Float:
        apart = values - self.middle
        unit = np.abs(apart / np.where(apart < 0, self.below, self.above))
        inner = np.minimum(unit, self.body)
        loss = inner**2 / 2 + inner * (unit - inner)
        return np.asarray(-loss - np.log((self.below + self.above) * np.sqrt(np.pi / 2)))


@dataclass(frozen=True)
class _Fit:
    value: float
    posterior: Float
    lead: float
    apart: float


def posterior(odds: Float, strangers: Float, leads: Float, *, final: bool) -> Float:
    """Return the probability of each best candidate to be a match, [N].

    Args:
        odds: score of the best candidate of each record, [N].
        strangers: score of its best candidate without that one, [N], NaN without one.
        leads: how much the best leads the second and that the third in plain likeness, [N, 2].
        final: else, where there seems to be no match, the fit with the clearest ones is returned,
            so that a score that does not part them yet can go on learning.
    """
    count = len(odds)
    if count < 2:
        return np.full(count, _NONE)
    floor = max(0.2 * float(np.std(odds)), 1e-6)
    order = np.argsort(-odds)
    fits = []
    for share in _STARTS:
        start = np.full(count, 0.02)
        start[order[: max(2, round(share * count))]] = 0.98
        fits.append(_expect(odds, strangers, leads, start, floor))
    alone = _Lump.fit(odds, np.ones(count), floor)
    none = np.full(count, _NONE)
    there = np.isfinite(strangers)
    value = float(alone.log(odds).sum()) + _next_ones(alone, strangers[there], none[there], floor)
    fits.append(_Fit(value, none, _lead(leads, 1 - none), np.inf))
    usable = [fit for fit in fits if fit.lead <= _MOST_LEAD and fit.apart >= _APART]
    chosen = max(usable or fits, key=lambda fit: fit.value)
    if final or chosen.posterior.mean() > 2 * _NONE:
        return chosen.posterior
    return max(fits[:-1], key=lambda fit: fit.apart).posterior


def _expect(odds: Float, strangers: Float, leads: Float, share: Float, floor: float) -> _Fit:
    there = np.isfinite(strangers)
    all_odds = np.concatenate([odds, strangers[there]])
    order = np.argsort(odds)
    for _ in range(_ROUNDS):
        prior = float(np.clip(share.mean(), _NONE, 1 - _NONE))
        match = _Lump.fit(odds, share, floor, np.inf)
        other = _Lump.fit(all_odds, np.concatenate([1 - share, share[there]]), floor)
        ratio = match.log(odds) - other.log(odds)
        rising = ratio[order]
        middle = int(np.searchsorted(odds[order], match.middle))
        rising[middle:] = np.maximum.accumulate(rising[middle:])
        rising[:middle] = np.minimum.accumulate(rising[:middle][::-1])[::-1]
        ratio[order] = rising
        both = np.log(prior) + match.log(odds), np.log(1 - prior) + other.log(odds)
        value = float(np.logaddexp(*both).sum()) - 2 * np.log(len(odds))  # BIC: four more numbers
        new = expit(ratio + np.log(prior / (1 - prior)))
        change, share = float(np.abs(new - share).max()), new
        if change < _NONE:
            break
    value += _next_ones(other, strangers[there], share[there], floor)
    apart = (match.middle - other.middle) / (match.below + other.above)
    return _Fit(value, share, _lead(leads, 1 - share), apart)


def _next_ones(other: _Lump, strangers: Float, share: Float, floor: float) -> float:
    """Return the likelihood of the candidates behind: the best strangers, or second ones."""
    if not len(strangers):
        return 0.0
    second = _Lump.fit(strangers, 1 - share, floor)
    return float(share @ other.log(strangers) + (1 - share) @ second.log(strangers))


def _lead(leads: Float, weight: Float) -> float:
    """Return how much more the best of strangers leads than the second does."""
    if weight.sum() < 0.02 * len(weight):
        return 1.0
    first, second = weight @ leads
    return float(first / max(second, 1e-9))
