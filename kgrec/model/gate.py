"""The gate: shares of the agents from the state of the user, learned on held-out interactions.

share_k(u) = softmax_k(log weight_k + g_k · x(u)), with x the standardised state. The gate is a
mixture of experts' (Jacobs et al. 1991) over agents that stay as they are; it begins at the fixed
weights and is pulled back to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray

Floats = NDArray[np.float64]


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
        """Return logits, [A, B], for states, [B, F]."""
        return np.asarray(self.weight @ with_one(self.standard(state)).T)

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
