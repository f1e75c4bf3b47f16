"""How much each agent counts: α_k(u) = share_k(u) / spread of the agent's scores for u.

Dividing by the standard deviation over all items makes agents comparable user by user (a z-score;
the mean moves every item alike, so it is left out). How the weights are chosen is in
`kgrec.learning.blending.weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray
from kgrec.model.gate import Gate, user_state
from kgrec.model.histories import Histories, as_histories
from kgrec.model.kernel import BatchSums, Kernel
from kgrec.model.remaining import Remaining
from kgrec.model.summed_history import SummedHistory

Floats = NDArray[np.float64]
_LEAST_SPREAD = 1e-9


@dataclass(frozen=True)
class Blend:
    """How much the agents count for B users.

    Attributes:
        shares: [A, B]; they sum to one over the agents whose scores differ at all, or are all 0.
        alpha: shares over spreads, [A, B]; what the agents' scores are multiplied by.
    """

    shares: Floats
    alpha: Floats


class Coordinator:
    """Weights of agents, and their attention for a history.

    Args:
        weights: weight of each kernel, in the order of the kernels, not negative.
        gate: moves the weights by the state of the user; over the kernels of positive weight.
    """

    def __init__(self, weights: Sequence[float], gate: Gate | None = None) -> None:
        self.weights: Floats = np.asarray(weights, dtype=np.float64)
        self.gate = gate

    @property
    def active(self) -> NDArray[np.intp]:
        """Positions of the kernels of positive weight."""
        return np.flatnonzero(self.weights > 0)

    def blend(
        self,
        kernels: Sequence[Kernel],
        histories: Histories | sp.csr_matrix,
        probing: Sequence[Kernel] | None = None,
        weights: Sequence[FloatArray] | None = None,
        sums: Sequence[BatchSums] | None = None,
    ) -> Blend:
        """Return how much each kernel counts for each history of a batch; see also `blend_one`.

        Args:
            histories: B histories, or CSR [B, I] of weights, without context.
            probing: what `probing` returns for these kernels, where the caller keeps it.
            weights: what the active kernels' `weights` give, float32 [N] each, where known.
            sums: what the active kernels' `sums` give, where known.
        """
        histories = as_histories(histories)
        shape = (len(kernels), len(histories))
        if weights is None:
            weights = [kernels[k].weights(histories) for k in self.active]
        if sums is None:
            pairs = zip(self.active, weights, strict=True)
            sums = [kernels[k].sums(histories, each) for k, each in pairs]
        spreads = np.zeros(shape)
        for k, summed in zip(self.active, sums, strict=True):
            spreads[k] = kernels[k].spread(histories, sums=summed)
        probed: Floats = np.zeros((*shape, 0))
        if self.gate is not None:
            probes = self.probing(kernels) if probing is None else probing
            probed = np.stack(
                [k.scores(histories, each) for k, each in zip(probes, weights, strict=True)]
            )
            probed = probed.astype(np.float64)
        return self.blend_spreads(spreads, histories, probed)

    def blend_one(self, history: Histories, number: int, sums: Sequence[SummedHistory]) -> Blend:
        """Return how much each of `number` kernels counts for one history, [A, 1].

        Args:
            sums: of the history, by the active kernels.
        """
        spreads = np.zeros((number, 1))
        spreads[self.active, 0] = [each.spread for each in sums]
        probed: Floats = np.zeros((len(sums), 1, 0))
        if self.gate is not None:
            probes = self.gate.probes
            scores = [each.scores(probes) + each.kernel.priors(probes) for each in sums]
            probed = np.stack(scores)[:, None]
        return self.blend_spreads(spreads, history, probed)

    def probing(self, kernels: Sequence[Kernel]) -> list[Kernel]:
        """Return the active kernels over the gate's probes alone; none where there is no gate."""
        if self.gate is None:
            return []
        return [kernels[k].over(self.gate.probes) for k in self.active]

    def blend_spreads(
        self, spreads: Floats, histories: Histories | Remaining, probed: Floats
    ) -> Blend:
        """Return how much kernels count whose spreads, [A, B], and probe scores are known.

        Args:
            probed: scores of the gate's probes by the active kernels, [A', B, P]; unread without
                a gate.
        """
        shares = np.repeat(self.weights[:, None], spreads.shape[1], axis=1)
        if self.gate is not None:
            state = user_state(histories, spreads[self.active], probed)
            shares[self.active] *= np.exp(self.gate.logits(state))
        shares *= spreads > _LEAST_SPREAD
        total = shares.sum(axis=0)
        shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        alpha = np.divide(shares, spreads, out=np.zeros_like(shares), where=shares > 0)
        return Blend(shares, alpha)


def standardised(kernel: Kernel, histories: Histories) -> FloatArray:
    """Return an agent's scores over their spread, float32 [B, I]; 0 where all are the same."""
    sums = kernel.sums(histories)
    spread = kernel.spread(histories, sums=sums)
    alpha = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > _LEAST_SPREAD)
    return np.asarray(kernel.scores(histories, sums=sums) * alpha[:, None], dtype=np.float32)
