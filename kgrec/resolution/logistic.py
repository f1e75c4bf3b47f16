"""Weighted logistic regression: few features, soft labels, a ridge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit


@dataclass(frozen=True)
class Logistic:
    """A linear log-odds over standardised features.

    Attributes:
        weight: [F]; bias: the log-odds at the means.
        mean, scale: of the features, [F].
    """

    weight: NDArray[np.float64]
    bias: float
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def odds(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the log-odds of rows, [P, F]."""
        return np.asarray(((x - self.mean) / self.scale) @ self.weight + self.bias)


def fit(
    x: NDArray[np.floating],
    target: NDArray[np.float64],
    count: NDArray[np.float64],
    ridge: float,
    *,
    rising: bool = False,
) -> Logistic:
    """Fit by maximum likelihood with a ridge.

    Args:
        x: [P, F].
        target: probability of the class, [P].
        count: weight of each row, [P].
        ridge: penalty of the squared weights, over the standardised features.
        rising: whether no weight may be below 0: more alike is never evidence against.
    """
    total = max(count.sum(), 1e-9)
    mean = (count @ x) / total
    scale = np.sqrt(np.maximum((count @ (x - mean) ** 2) / total, 1e-8))
    z = (x - mean) / scale
    z = np.concatenate([z, np.ones((len(z), 1))], axis=1)

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = z @ w
        value = float(count @ (np.logaddexp(0, odds) - target * odds))
        slope = z.T @ (count * (expit(odds) - target))
        slope[:-1] += ridge * w[:-1]
        return value + ridge / 2 * float(w[:-1] @ w[:-1]), slope

    bounds = [(0.0 if rising else None, None)] * x.shape[1] + [(None, None)]
    done = minimize(loss, np.zeros(z.shape[1]), jac=True, bounds=bounds, method="L-BFGS-B",
                    options={"maxiter": 200})  # fmt: skip
    return Logistic(done.x[:-1], float(done.x[-1]), mean, scale)
