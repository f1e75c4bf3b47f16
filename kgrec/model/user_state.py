"""The state of a user, from which the gate moves the shares of the agents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kgrec.model.histories import Histories

Floats = NDArray[np.float64]
DAY, HOUR = 86_400_000, 3_600_000
_LEAST = 1e-9


def state_names(agents: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns of `user_state`."""
    own = ("length", "recency", "span", "timed", "hour_sin", "hour_cos", "weekend")
    spread = (f"spread of {name}" for name in agents)
    return (*own, *spread, *(f"agreement of {name}" for name in agents))


def user_state(histories: Histories, spreads: Floats, probed: Floats) -> Floats:
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


def _times(histories: Histories) -> list[Floats]:
    first = np.full(len(histories), np.iinfo(np.int64).max)
    last = np.zeros(len(histories), dtype=np.int64)
    timed = histories.at > 0
    np.minimum.at(first, histories.owner[timed], histories.at[timed])
    np.maximum.at(last, histories.owner[timed], histories.at[timed])
    known = last > 0
    now = np.where(histories.now > 0, histories.now, last)
    hour = 2 * np.pi * (now % DAY) / DAY
    weekday = (now // DAY + 4) % 7  # 1970 began on a Thursday; 0 is Sunday
    asked = now > 0
    return [
        np.where(known, np.log1p(np.maximum(now - last, 0) / HOUR), 0.0),
        np.where(known, np.log1p(np.maximum(last - np.where(known, first, 0), 0) / HOUR), 0.0),
        known.astype(np.float64),
        np.where(asked, np.sin(hour), 0.0),
        np.where(asked, np.cos(hour), 0.0),
        (asked & ((weekday == 0) | (weekday == 6))).astype(np.float64),
    ]


def _agreement(probed: Floats) -> Floats:
    """Return the mean correlation of each agent with the others, [A, B]."""
    number = len(probed)
    if number < 2:
        return np.zeros(probed.shape[:2])
    centred = probed - probed.mean(axis=2, keepdims=True)
    length = np.linalg.norm(centred, axis=2, keepdims=True)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > _LEAST)
    correlation = np.einsum("abp,cbp->acb", unit, unit, optimize=True)
    itself = np.einsum("aab->ab", correlation)
    return np.asarray((correlation.sum(axis=1) - itself) / (number - 1))
