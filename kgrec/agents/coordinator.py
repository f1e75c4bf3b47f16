"""How much each agent is listened to: α_k(u) = weight_k / spread of the agent's scores for u.

Dividing by the standard deviation over all items makes agents comparable user by user (a z-score;
the mean moves every item alike, so it is left out). The weights lie on the simplex and are chosen
on the validation part; an agent that does not help there gets 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.agents.kernel import Kernel
from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray
from kgrec.data.histories import Histories
from kgrec.evaluation.metrics import Values
from kgrec.evaluation.validation import Objective, Validation
from kgrec.progress import SILENT, Progress


class CoordinatorConfig(FrozenModel):
    """Settings of the coordinator.

    Attributes:
        weights: weight of each agent by name; None chooses them on the validation part.
        shares: the shares that an agent may take from the mixture found so far.
        standard_errors: a mixture must beat the simpler one by so many standard errors of the
            paired difference between users, or the simpler one stays.
    """

    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    standard_errors: float = Field(default=1.0, ge=0)
    objective: Objective = Objective()


class Coordinator:
    """Weights of agents, and their attention for a history.

    Args:
        weights: weight of each kernel, in the order of the kernels, not negative.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights: NDArray[np.float64] = np.asarray(weights, dtype=np.float64)

    def attention(self, kernels: Sequence[Kernel], histories: Histories) -> NDArray[np.float64]:
        """Return α, float64 [A, B]; 0 where an agent says the same of every item."""
        alpha = np.zeros((len(kernels), histories.shape[0]))
        for row, (weight, kernel) in enumerate(zip(self.weights, kernels, strict=True)):
            if weight > 0:
                alpha[row] = attention_of(weight, kernel.spread(histories))
        return alpha


def attention_of(weight: float, spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weight over spread, [B]; 0 where the agent says the same of every item."""
    alpha = np.zeros(len(spread))
    np.divide(weight, spread, out=alpha, where=spread > 1e-9)
    return alpha


def choose_weights(
    kernels: Sequence[Kernel],
    validation: Validation | None,
    config: CoordinatorConfig,
    progress: Progress = SILENT,
) -> tuple[list[float], dict[str, float]]:
    """Choose the weights by forward selection on the validation part.

    Begins with the best agent alone, then lets one agent after another take the share of the
    mixture that helps most, as long as the gain is more than noise (Caruana et al. 2004,
    "Ensemble Selection from Libraries of Models", with shares in place of repeats).

    Returns:
        weights in the order of `kernels`, summing to one, and the metric of each agent alone and
        of the `team`.
    """
    names = [kernel.agent for kernel in kernels]
    if config.weights is not None:
        return _normalised(config.weights, names), {}
    if validation is None or not len(validation):
        return [1.0 / len(kernels)] * len(kernels), {}
    scores = [_standardised(kernel, validation.histories) for kernel in kernels]
    alone = [validation.per_user(each.copy()) for each in scores]
    with progress.task("weigh the agents", len(kernels) - 1) as task:
        best = int(np.argmax([values.mean() for values in alone]))
        weights = np.zeros(len(kernels))
        weights[best] = 1.0
        mixed, values = scores[best], alone[best]
        while (step := _best_step(scores, mixed, values, weights, validation, config)) is not None:
            agent, share, values = step
            mixed = (1 - share) * mixed + share * scores[agent]
            weights *= 1 - share
            weights[agent] = share
            task.advance()
            task.describe(f"{config.objective.metric} {values.mean():.4f}")
    report = {name: float(each.mean()) for name, each in zip(names, alone, strict=True)}
    return [float(weight) for weight in weights], {**report, "team": float(values.mean())}


def _best_step(
    scores: Sequence[FloatArray],
    mixed: FloatArray,
    values: Values,
    weights: NDArray[np.float64],
    validation: Validation,
    config: CoordinatorConfig,
) -> tuple[int, float, Values] | None:
    best: tuple[int, float, Values] | None = None
    for agent in map(int, np.flatnonzero(weights == 0)):
        for share in config.shares:
            mixture = (1 - share) * mixed + share * scores[agent]
            tried = validation.per_user(mixture.astype(np.float32))
            if best is None or tried.mean() > best[2].mean():
                best = agent, share, tried
    if best is None:
        return None
    gain = best[2] - values
    noise = gain.std() / np.sqrt(len(gain))
    return best if gain.mean() > config.standard_errors * noise else None


def _standardised(kernel: Kernel, histories: Histories) -> FloatArray:
    attention = Coordinator([1.0]).attention([kernel], histories)[0].astype(np.float32)
    return np.asarray(kernel.scores(histories) * attention[:, None], dtype=np.float32)


def _normalised(given: Mapping[str, float], names: Sequence[str]) -> list[float]:
    weights = np.array([max(given.get(name, 0.0), 0.0) for name in names])
    if not weights.sum():
        weights = np.ones(len(names))
    return [float(weight) for weight in weights / weights.sum()]
