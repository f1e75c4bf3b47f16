"""What rejected items add to a score: those that a user disliked, skipped or gave a low value.

    n(u, i) = Σ_k α_k(u) · m_k(H) · Σ_{d ∈ D} ω(kind_d) · S_k(d, i)

with `m_k(H)` the mean weight of the history items and `D` the rejected items: ω = -0.5 takes half
of what a history item adds. Shares and spreads are those of the history alone, so that what a
rejected item does is linear, and is gone without a trace when the rejection is withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.data.selection import kind_codes
from kgrec.errors import ModelError
from kgrec.model.histories import Histories

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RejectionWeights:
    """How much a rejected item counts, by the kind of its last interaction.

    Attributes:
        by_kind: ω by the name of the kind; kinds that are absent do not count.
    """

    by_kind: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = kind_codes(list(self.by_kind)) > 0
        if not known.all() or not np.isfinite(list(self.by_kind.values())).all():
            raise ModelError("weights of rejected items make no sense", value=dict(self.by_kind))

    def of(self, kinds: IntArray) -> Floats:
        """Return ω of each rejected item, float64 [M]; 0 where its kind does not count."""
        table = np.zeros(1 + max([*kind_codes(list(self.by_kind)), *kinds], default=0))
        table[kind_codes(list(self.by_kind))] = list(self.by_kind.values())
        return np.asarray(table[kinds])

    def weighted(self, histories: Histories, weights: FloatArray) -> sp.csr_matrix | None:
        """Return what each rejected item of B histories is multiplied by, CSR float32 [B, I].

        Args:
            weights: what a kernel's `weights` gives for the histories, float32 [N].

        Returns:
            None where no rejected item counts.
        """
        rejected = histories.rejected
        if rejected is None:
            return None
        counts = self.of(rejected.kind)
        if not counts.any():
            return None
        each = counts * np.repeat(mean_weights(histories, weights), np.diff(rejected.start))
        columns = each.astype(np.float32), rejected.item, rejected.start
        return sp.csr_matrix(columns, shape=histories.shape)

    def settings(self) -> dict[str, float]:
        """Return what `load` needs, as plain values."""
        return dict(self.by_kind)

    @classmethod
    def load(cls, settings: Mapping[str, float]) -> Self:
        """Build the weights again from `settings`."""
        return cls({str(kind): float(weight) for kind, weight in settings.items()})


@dataclass(frozen=True, eq=False)
class Counted:
    """The rejected items of one history that count.

    Attributes:
        places: among the rejected items of the history, int64 [D].
        item: rows, int64 [D].
        factor: ω, float64 [D].
    """

    places: IntArray
    item: IntArray
    factor: Floats

    def __len__(self) -> int:
        return len(self.item)

    @classmethod
    def of(cls, history: Histories, weights: RejectionWeights | None) -> Counted:
        """Find those of one history; none without weights."""
        none = np.empty(0, dtype=np.int64)
        if weights is None or history.rejected is None:
            return cls(none, none, np.empty(0))
        factor = weights.of(history.rejected.kind)
        places = np.flatnonzero(factor).astype(np.int64)
        return cls(places, history.rejected.item[places], factor[places])

    def beside(self, weights: FloatArray) -> Floats:
        """Return the weights of a history, [H], and after them those of these items, [H + D]."""
        known = weights.astype(np.float64)
        mean = float(known.mean()) if len(known) else 0.0
        return np.concatenate([known, self.factor * mean])


def mean_weights(histories: Histories, weights: FloatArray) -> Floats:
    """Return the mean weight of the items of each history, float64 [B]; 0 of an empty one."""
    total = np.bincount(histories.owner, weights, minlength=len(histories))
    return np.asarray(total / np.maximum(histories.lengths, 1))
