"""The mean of kernels that were learned from different starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError
from kgrec.model.kernel import Kernel


def mean_kernel(kernels: Sequence[Kernel]) -> Kernel:
    """Return the kernel whose scores are the mean of the scores of these.

    Factors are put side by side, rows and priors are averaged; name and choices are the first's.

    Raises:
        ModelError: they do not read histories in the same way.
    """
    first, count = kernels[0], len(kernels)
    if count == 1:
        return first
    if any(k.history_power != first.history_power or k.attention is not None for k in kernels):
        raise ModelError(
            "only kernels that read histories alike can be averaged",
            value=first.agent,
            remedy="Give all of them one history_power, and none an attention.",
        )
    left = [np.asarray(k.history_factors) / count for k in kernels if k.history_factors is not None]
    right = [np.asarray(k.item_factors) for k in kernels if k.item_factors is not None]
    rows = [k.rows for k in kernels if k.rows is not None]
    priors = [k.prior for k in kernels if k.prior is not None]
    return replace(
        first,
        history_factors=np.hstack(left).astype(np.float32) if left else None,
        item_factors=np.hstack(right) if right else None,
        rows=sp.csr_matrix(sum(rows[1:], rows[0]) / count, dtype=np.float32) if rows else None,
        prior=(np.sum(priors, axis=0) / count).astype(np.float32) if priors else None,
        inductive=None,
    )


def compressed(kernel: Kernel, size: int) -> tuple[Kernel, FloatArray | None]:
    """Return a kernel with factors of this size, and the matrix that they were multiplied by.

    The factors are projected on the principal directions of the item factors. The networks of a
    mean agree in these and differ by chance in the others, so that little is lost.

    Returns:
        the kernel, and the projection, float32 [D, size]; None where the factors are no larger.
    """
    if kernel.history_factors is None or kernel.item_factors is None:
        return kernel, None
    items = np.asarray(kernel.item_factors, dtype=np.float64)
    if items.shape[1] <= size:
        return kernel, None
    directions = np.linalg.eigh(items.T @ items)[1][:, : -size - 1 : -1]  # the largest first
    history = np.asarray(kernel.history_factors, dtype=np.float64) @ directions
    fewer = replace(
        kernel,
        history_factors=history.astype(np.float32),
        item_factors=(items @ directions).astype(np.float32),
    )
    return fewer, directions.astype(np.float32)
