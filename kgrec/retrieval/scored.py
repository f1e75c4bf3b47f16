"""The candidates of a query in the order of their scores, and the same in little memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kgrec.data.dataset import IntArray


@dataclass(frozen=True, eq=False)
class Scored:
    """The candidates of a query in the order of their scores; ties go by row.

    Attributes:
        rows: int64 [C].
        scores: float64 [C], falling.
        reordered: which the ranker reordered, bool [C].
        identity: the same object wherever these very scores are packed and unpacked.
    """

    rows: IntArray
    scores: NDArray[np.float64]
    reordered: NDArray[np.bool_]
    identity: object = field(default_factory=object, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def position(self, row: int) -> int:
        """Return the place of an item, from 0; raises ValueError where it is no candidate."""
        return int(np.flatnonzero(self.rows == row)[0])


@dataclass(frozen=True, eq=False)
class PackedScores:
    """What `Scored` holds, to the last bit, in ten bytes a candidate and not seventeen.

    Attributes:
        candidates: a bit for each row up to the last candidate's.
        rows: as `Scored.rows`, in the smallest unsigned type that holds them.
        scores: as `Scored.scores`.
        reordered: the bits of `Scored.reordered`.
        identity: as `Scored.identity`.
    """

    candidates: NDArray[np.uint8]
    rows: NDArray[np.unsignedinteger]
    scores: NDArray[np.float64]
    reordered: NDArray[np.uint8]
    identity: object

    @classmethod
    def of(cls, scored: Scored, candidates: IntArray) -> PackedScores:
        """Pack the scores of candidates (rows, rising, [C])."""
        small = np.min_scalar_type(int(candidates[-1]) if len(candidates) else 0)
        bits = np.packbits(scored.reordered)
        rows = scored.rows.astype(small)
        return cls(_bits(candidates), rows, scored.scores, bits, scored.identity)

    @property
    def size(self) -> int:
        """Bytes."""
        held = (self.candidates, self.rows, self.scores, self.reordered)
        return sum(each.nbytes for each in held)

    def is_of(self, candidates: IntArray) -> bool:
        """Tell whether these are the scores of just these candidates (rows, rising, [C])."""
        return len(candidates) == len(self.rows) and np.array_equal(
            self.candidates, _bits(candidates)
        )

    def scored(self) -> Scored:
        """Return the scores as they were."""
        reordered = np.unpackbits(self.reordered, count=len(self.rows)).view(np.bool_)
        return Scored(self.rows.astype(np.int64), self.scores, reordered, self.identity)


def _bits(rows: IntArray) -> NDArray[np.uint8]:
    there = np.zeros(int(rows[-1]) + 1 if len(rows) else 0, dtype=np.bool_)
    there[rows] = True
    return np.packbits(there)
