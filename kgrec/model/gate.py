"""The gate: shares of the agents from the state of the user, learned on held-out interactions.

share_k(u) = softmax_k(log weight_k + g_k · x(u)), with x the standardised state. The gate is a
mixture of experts' (Jacobs et al. 1991) over agents that stay as they are; it begins at the fixed
weights and is pulled back to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray
from kgrec.model.histories import Histories
from kgrec.model.remaining import Remaining

DAY, HOUR = 86_400_000, 3_600_000
_LEAST = 1e-9


def state_names(agents: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns of `user_state`."""
    own = ("length", "recency", "span", "timed", "hour_sin", "hour_cos", "weekend")
    spread = (f"spread of {name}" for name in agents)
    return (*own, *spread, *(f"agreement of {name}" for name in agents))


def user_state(histories: Histories | Remaining, spreads: Floats, probed: Floats) -> Floats:
    """Describe users by their history, by how sure the agents are, and by how they agree.

    Args:
        histories: of B users.
        spreads: standard deviation of each agent's scores over all items, [A, B]; large where the
            items of a history point the same way.
        probed: each agent's scores of a few fixed items, [A, B, P]; two agents agree as far as
            those correlate.

    Returns:
        float64 [B, F], columns as in `state_names`; what is unknown is 0.
    """
    own = np.column_stack([np.log1p(histories.lengths), *_times(histories)])  # [B, 7]
    return np.hstack([own, np.log(np.maximum(spreads, _LEAST)).T, _agreement(probed).T])


def _times(histories: Histories | Remaining) -> list[Floats]:
    first, last = histories.times
    known = last > 0
    now = np.where(histories.now > 0, histories.now, last)
    hour = 2 * np.pi * (now % DAY) / DAY
    weekday = (now // DAY + 4) % 7  # 1970 began on a Thursday; 0 is Sunday
    has_time = now > 0
    return [
        np.where(known, np.log1p(np.maximum(now - last, 0) / HOUR), 0.0),
        np.where(known, np.log1p(np.maximum(last - np.where(known, first, 0), 0) / HOUR), 0.0),
        known.astype(np.float64),
        np.where(has_time, np.sin(hour), 0.0),
        np.where(has_time, np.cos(hour), 0.0),
        (has_time & ((weekday == 0) | (weekday == 6))).astype(np.float64),
    ]


def _agreement(probed: Floats) -> Floats:
    """Return the mean correlation of each agent with the others, [A, B]."""
    number = len(probed)
    if number < 2:
        return np.zeros(probed.shape[:2])
    centred = probed - probed.mean(axis=2, keepdims=True)
    length = np.linalg.norm(centred, axis=2, keepdims=True)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > _LEAST)
    with_all = np.einsum("abp,bp->ab", unit, unit.sum(axis=0))
    with_itself = np.einsum("abp,abp->ab", unit, unit)
    return np.asarray((with_all - with_itself) / (number - 1))


Floats = NDArray[np.float64]

_MOST_LOGIT = 50.0


@dataclass(frozen=True, eq=False)
class Gate:
    """Turns states into logits to be added to the logarithms of the weights.

    Attributes:
        probes: rows of the items by which agreement is measured, int64 [P].
        mean, scale: of each column of the state, [F]; a scale of 0 leaves the column out.
        weight: g, [A, F + 1]; the last column is added whatever the state.
    """

    probes: IntArray
    mean: Floats
    scale: Floats
    weight: Floats

    def logits(self, state: Floats) -> Floats:
        """Return logits, [A, B], for states, [B, F], cut where their exponentials are numbers."""
        return np.clip(self.weight @ with_one(self.standard(state)).T, -_MOST_LOGIT, _MOST_LOGIT)

    def standard(self, state: Floats) -> Floats:
        """Return states of mean 0 and variance 1 as far as was learned, cut at 3, [B, F]."""
        return np.asarray(np.clip((state - self.mean) * self.scale, -3.0, 3.0))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""
        return dict(vars(self))

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build a gate again from `arrays`."""
        return cls(**{name: arrays[name] for name in ("probes", "mean", "scale", "weight")})


def with_one(state: Floats) -> Floats:
    """Return states with a column of ones, [B, F + 1]."""
    return np.hstack([state, np.ones((len(state), 1))])
