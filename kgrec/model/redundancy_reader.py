"""The reader of the factorisation agent: history items that are like each other count for less.

With z the scaled factors of the items and K = Z_H Z_Hᵀ of a history H,

    w = (I + K)⁻¹ 1

are the weights with which Σ_h w_h z_h solves the least squares of a user (Hu, Koren and Volinsky
2008), by Woodbury's identity. Many alike items share the weight of one; a weight may be negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.model.histories import Histories
from kgrec.model.remaining import Remaining

Floats = NDArray[np.float64]

_CONTENT = "items"
_CELLS = 1 << 22
"""Numbers of padded factors, or of systems, that are held at a time."""


class RedundancyReader:
    """History weights that solve the regularised least squares of a user.

    Args:
        content: z, float32 [I, D].
    """

    name: ClassVar[str] = "redundancy"
    reads_time: ClassVar[bool] = False

    def __init__(self, content: FloatArray) -> None:
        self._content = content

    def weights(self, histories: Histories) -> FloatArray:
        """Return w_h for each entry, float32 [N]."""
        weights = np.zeros(len(histories.item), dtype=np.float32)
        with _one_thread() if len(histories) > 1 else nullcontext():
            for _, entries, held in padded(histories.start, self._content.shape[1]):
                z = np.where(held[:, :, None], self._content[histories.item[entries]], 0.0)
                weights[entries[held]] = _solved(z, held)[held]
        return weights

    def weights_without(self, remaining: Remaining) -> FloatArray:
        """Return w_h of each part of one history, float32 [S, H]; 0 where an item is removed."""
        z, kept = self._content[remaining.history.item], remaining.kept
        parts = np.zeros(kept.shape, dtype=np.float32)
        length, size = z.shape
        step = max(1, _CELLS // max(length * min(length, size), 1))
        with _one_thread() if len(kept) > 1 else nullcontext():
            for begin in range(0, len(kept), step):
                held = kept[begin : begin + step]
                parts[begin : begin + step] = _solved(np.where(held[:, :, None], z, 0.0), held)
        return parts

    def settings(self) -> dict[str, Any]:
        """Return what `load` needs beside the arrays: nothing."""
        return {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the factors."""
        return {_CONTENT: self._content}

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build the reader again from `arrays`."""
        return cls(arrays[_CONTENT])

    @property
    def content(self) -> FloatArray:
        """The factors of the items, float32 [I, D]."""
        return self._content

    def with_items(self, content: FloatArray) -> Self:
        """Return the reader with further items behind its own, by their factors, [M, D]."""
        return type(self)(np.concatenate([self._content, content]))


def padded(
    start: IntArray, size: int, cells: int = _CELLS
) -> Iterator[tuple[IntArray, IntArray, NDArray[np.bool_]]]:
    """Yield rows of a CSR matrix in batches of like length; empty rows are left out.

    Args:
        start: of the rows, int64 [B + 1].
        size: numbers that are held of each entry.
        cells: numbers that are held of a batch.

    Yields:
        Rows, int64 [b]; places of their entries, int64 [b, L]; and which of these are of the row,
        bool [b, L]: the others repeat its last entry.
    """
    lengths = np.diff(start)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    while len(order):
        # Systems of one batch are solved as if all had the longest row.
        most = max(int(lengths[order[0]] * 1.25), int(lengths[order[0]]) + 2)
        count = int(np.searchsorted(lengths[order], most, side="right"))
        rows, order = order[:count], order[count:]
        step = max(1, cells // (most * size))
        for begin in range(0, count, step):
            own = rows[begin : begin + step]
            place = np.arange(lengths[own[-1]])
            held = place < lengths[own][:, None]
            last = (lengths[own] - 1)[:, None]
            yield own, start[own][:, None] + np.minimum(place, last), held


def _one_thread() -> AbstractContextManager[object]:
    """Compute by one thread of BLAS: on small systems threads do nothing but wait for others."""
    controller = _controller()
    return nullcontext() if controller is None else controller.limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _controller() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:  # of installations that serve alone
        return None
    return ThreadpoolController()


def _solved(z: FloatArray, held: NDArray[np.bool_]) -> Floats:
    """Return (I + z zᵀ)⁻¹ 1 of histories, float64 [B, L], 0 where nothing is held.

    Args:
        z: factors, zeros where nothing is held, [B, L, D].
        held: bool [B, L].
    """
    ones = held[:, :, None].astype(np.float64)
    across = z.swapaxes(1, 2)
    if z.shape[1] <= z.shape[2]:
        system = (z @ across).astype(np.float64)
        return np.asarray(np.linalg.solve(_plus_one(system), ones)[:, :, 0])
    system = (across @ z).astype(np.float64)  # the same by Woodbury's identity
    inner = np.linalg.solve(_plus_one(system), across @ ones)
    return np.asarray((ones - z @ inner)[:, :, 0] * held)


def _plus_one(system: Floats) -> Floats:
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += 1.0
    return system
