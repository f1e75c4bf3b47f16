"""Learning the gate on held-out interactions.

The gate is a mixture of experts' (Jacobs et al. 1991) over agents that stay as they are; it begins
at the fixed shares and is pulled back to them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.gate import Gate, with_one

Floats = NDArray[np.float64]


def learn_gate(
    weights: Floats,
    scores: Sequence[FloatArray],
    state: Floats,
    targets: sp.csr_matrix,
    probes: IntArray,
    *,
    ridge: float,
    candidates: int,
    seed: int,
) -> Gate:
    """Learn a gate by a softmax over candidates: the agents' favourites and the targets.

    Args:
        weights: fixed weights of the agents, [A], positive.
        scores: standardised scores of each agent, float32 [B, I] each, seen items at -inf.
        state: float64 [B, F].
        targets: what the users took next, CSR [B, I].
        probes: see `Gate`.
        ridge: how strongly the gate is pulled back to the fixed weights.
        candidates: favourites of each agent that targets must stand out from.
        seed: draws a few candidates by chance.
    """
    import torch

    mean, deviation = state.mean(axis=0), state.std(axis=0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
    empty = Gate(probes, mean, scale, np.zeros((len(weights), state.shape[1] + 1)))
    chosen = _candidates(scores, targets, candidates, np.random.default_rng(seed))  # [B, C]
    picked = np.stack([np.take_along_axis(each, chosen, axis=1) for each in scores])
    picked = np.where(np.isfinite(picked), picked, -30.0)
    right = np.take_along_axis(np.asarray(targets.todense()), chosen, axis=1) > 0
    z = torch.from_numpy(picked.astype(np.float32))  # [A, B, C]
    x = torch.from_numpy(with_one(empty.standard(state)).astype(np.float32))  # [B, F + 1]
    y = torch.from_numpy(right / np.maximum(right.sum(axis=1, keepdims=True), 1))
    base = torch.from_numpy(np.log(np.maximum(weights, 1e-12)))[:, None]
    g = torch.zeros(empty.weight.shape, dtype=torch.float64, requires_grad=True)
    sharpness = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [g, sharpness], max_iter=60, line_search_fn="strong_wolfe", history_size=10
    )

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        shares = torch.softmax(base + g @ x.double().T, dim=0)  # [A, B]
        mixed = (shares.float()[:, :, None] * z).sum(dim=0) * sharpness.exp().float()  # [B, C]
        loss = -(y * torch.log_softmax(mixed, dim=1)).sum(dim=1).mean().double()
        loss = loss + ridge * (g**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return Gate(probes, mean, scale, g.detach().numpy())


def _candidates(
    scores: Sequence[FloatArray], targets: sp.csr_matrix, number: int, rng: np.random.Generator
) -> IntArray:
    """Return rows of items, int64 [B, C]: favourites of each agent, some by chance, the targets.

    An item that stands there twice counts twice for each agent alike, which the softmax bears.
    """
    num_users, num_items = scores[0].shape
    size = min(number, num_items)
    parts = [np.argpartition(-each, size - 1, axis=1)[:, :size] for each in scores]
    parts.append(rng.integers(num_items, size=(num_users, size)))
    most = int(np.diff(targets.indptr).max(initial=1))
    wanted = np.full((num_users, most), -1, dtype=np.int64)
    owner = np.repeat(np.arange(num_users), np.diff(targets.indptr))
    place = np.arange(targets.nnz) - np.repeat(targets.indptr[:-1], np.diff(targets.indptr))
    wanted[owner, place] = targets.indices
    # Where a user has fewer targets than the most, any item fills the place.
    wanted = np.where(wanted < 0, parts[-1][:, :1], wanted)
    return np.hstack([*parts, wanted]).astype(np.int64)
