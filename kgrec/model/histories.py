"""A batch of histories with their context: items, times, kinds, values, and time of the query."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.errors import DataError, ModelError

LATEST = np.iinfo(np.int64).max
"""Later than any time."""


@dataclass(frozen=True, eq=False)
class Rejected:
    """The items that the users of B histories rejected, entry after entry as in a CSR matrix.

    Attributes:
        start: where those of each history begin among the entries, and their number, int64 [B + 1].
        item: rows of the items, distinct in a history and none of its items, int64 [M].
        kind: of the last interaction, as in `Interactions.kind`, int64 [M].
    """

    start: IntArray
    item: IntArray
    kind: IntArray

    def __getitem__(self, rows: IntArray) -> Rejected:
        """Return those of the histories at these rows."""
        start, entry = _entries_at(self.start, rows)
        return Rejected(start, self.item[entry], self.kind[entry])

    @classmethod
    def of(cls, rejected: Interactions, positive: IntArray, now: IntArray, width: int) -> Rejected:
        """Collect what all users rejected, with what comes after the query time left out.

        Args:
            rejected: the interactions.
            positive: user · width + item of the entries of the histories.
            now: query times, int64 [B], 0 where unknown.
            width: number of items.
        """
        known = now[rejected.user]
        rejected = rejected.take((known == 0) | (rejected.at <= known))
        key = rejected.user * width + rejected.item
        order = np.lexsort((rejected.at, key))
        last = np.append(np.diff(key[order]) != 0, True)[: len(key)]
        kept = rejected.take(order[last & ~np.isin(key[order], positive)])
        counts = np.bincount(kept.user, minlength=len(now))
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(start, kept.item, kept.kind)


@dataclass(frozen=True, eq=False)
class Histories:
    """Histories of B users over I items, entry after entry as in a CSR matrix.

    The items of a history are distinct; their order carries no information, `at` does.

    Attributes:
        start: where each history begins among the entries, and their number, int64 [B + 1].
        item: rows of the items, int64 [N].
        weight: v_h, how much an entry counts, float32 [N].
        at: milliseconds since 1970 in UTC, int64 [N]; 0 where the time is unknown.
        kind: of the interaction, as in `Interactions.kind`, int64 [N].
        value: rating, play count or 1, float32 [N].
        now: time of the query, int64 [B], as `at`.
        num_items: I.
        rejected: items that count in the scores, if at all, by `RejectionWeights`; None for none.
            They are no part of the history.
    """

    start: IntArray
    item: IntArray
    weight: FloatArray
    at: IntArray
    kind: IntArray
    value: FloatArray
    now: IntArray
    num_items: int
    rejected: Rejected | None = None

    def __post_init__(self) -> None:
        columns = (self.item, self.weight, self.at, self.kind, self.value)
        sizes = {len(column) for column in columns}
        if sizes != {int(self.start[-1])}:
            raise DataError("columns of histories differ in length", value=sorted(sizes))
        if len(self.now) != len(self):
            raise DataError(
                f"{len(self)} histories have another number of query times", value=len(self.now)
            )

    def __len__(self) -> int:
        return len(self.start) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """B and I."""
        return len(self), self.num_items

    @property
    def lengths(self) -> IntArray:
        """How many items each history has, int64 [B]."""
        return np.asarray(np.diff(self.start))

    @property
    def owner(self) -> IntArray:
        """The history that each entry belongs to, int64 [N]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def times(self) -> tuple[IntArray, IntArray]:
        """The first and the last known time of each history, int64 [B]; `LATEST`, 0 for none."""
        first = np.full(len(self), LATEST)
        last = np.zeros(len(self), dtype=np.int64)
        timed = self.at > 0
        np.minimum.at(first, self.owner[timed], self.at[timed])
        np.maximum.at(last, self.owner[timed], self.at[timed])
        return first, last

    @cached_property
    def matrix(self) -> sp.csr_matrix:
        """The weights, CSR float32 [B, I]."""
        return self.weighted(self.weight)

    def weighted(self, weight: FloatArray) -> sp.csr_matrix:
        """Return other weights of the entries, [N], as CSR [B, I]."""
        return sp.csr_matrix((weight, self.item, self.start), shape=self.shape)

    def __getitem__(self, rows: slice | IntArray | NDArray[np.bool_]) -> Histories:
        """Return the histories at these rows, which are a slice, positions or a mask."""
        chosen = np.arange(len(self))[rows]
        start, entry = _entries_at(self.start, chosen)
        rejected = self.rejected and self.rejected[chosen]
        return replace(self._at(entry, start, self.now[chosen]), rejected=rejected)

    @cached_property
    def seen(self) -> sp.csr_matrix:
        """Entries where an item is in a history or rejected, CSR float32 [B, I]."""
        if self.rejected is None:
            return self.matrix
        item, start = self.rejected.item, self.rejected.start
        rejected = sp.csr_matrix((np.ones(len(item), np.float32), item, start), shape=self.shape)
        return sp.csr_matrix(self.matrix + rejected)

    def without(self, removed: IntArray) -> Histories:
        """Return the one history of this batch without some of its entries, and nothing rejected.

        Args:
            removed: positions among the entries, distinct in each row, [S, R].

        Returns:
            S histories.
        """
        if len(self) != 1:
            raise DataError("entries can be removed from one history only", value=len(self))
        kept = np.ones((len(removed), len(self.item)), dtype=np.bool_)
        kept[np.arange(len(removed))[:, None], removed] = False
        start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
        return self._at(kept.nonzero()[1], start, np.repeat(self.now, len(removed)))

    def _at(self, entry: NDArray[np.int64], start: IntArray, now: IntArray) -> Histories:
        return Histories(
            start,
            self.item[entry],
            self.weight[entry],
            self.at[entry],
            self.kind[entry],
            self.value[entry],
            now,
            self.num_items,
        )

    @classmethod
    def of(
        cls,
        interactions: Interactions,
        num_users: int,
        num_items: int,
        now: IntArray | None = None,
        rejected: Interactions | None = None,
    ) -> Histories:
        """Collect the histories of all users; of a repeated pair the last interaction counts."""
        key = interactions.user * num_items + interactions.item
        order = np.lexsort((interactions.at, key))
        last = np.append(np.diff(key[order]) != 0, True)[: len(key)]
        kept = interactions.take(order[last])
        counts = np.bincount(kept.user, minlength=num_users)
        moments = np.zeros(num_users, dtype=np.int64) if now is None else now
        against = None
        if rejected is not None and len(rejected):
            against = Rejected.of(rejected, key[order[last]], moments, num_items)
        return cls(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            kept.item,
            np.ones(len(kept), dtype=np.float32),
            kept.at,
            kept.kind,
            kept.value,
            moments,
            num_items,
            against,
        )

    @classmethod
    def from_matrix(cls, matrix: sp.csr_matrix) -> Histories:
        """Return histories without context: CSR [B, I], whose values are the weights."""
        matrix = sp.csr_matrix(matrix)
        none = np.zeros(matrix.nnz, dtype=np.int64)
        return cls(
            matrix.indptr.astype(np.int64),
            matrix.indices.astype(np.int64),
            matrix.data.astype(np.float32),
            none,
            none,
            np.ones(matrix.nnz, dtype=np.float32),
            np.zeros(matrix.shape[0], dtype=np.int64),
            int(matrix.shape[1]),
        )

    @classmethod
    def one(
        cls,
        items: ArrayLike,
        num_items: int,
        *,
        weight: ArrayLike | None = None,
        at: ArrayLike | None = None,
        kind: ArrayLike | None = None,
        value: ArrayLike | None = None,
        now: int = 0,
        rejected: tuple[ArrayLike, ArrayLike] = ((), ()),
    ) -> Histories:
        """Make one history of rows of distinct items, [H]; columns left out are 1, or unknown.

        Args:
            rejected: rows of rejected items and kinds of the interactions, [M] each.
        """
        rows = np.asarray(items, dtype=np.int64)
        against, kinds = (np.asarray(column, dtype=np.int64) for column in rejected)

        def column(given: ArrayLike | None, default: float, dtype: type) -> NDArray[np.generic]:
            return np.full(len(rows), default, dtype) if given is None else np.asarray(given, dtype)

        return cls(
            np.array([0, len(rows)]),
            rows,
            column(weight, 1.0, np.float32),  # type: ignore[arg-type]
            column(at, 0, np.int64),  # type: ignore[arg-type]
            column(kind, 0, np.int64),  # type: ignore[arg-type]
            column(value, 1.0, np.float32),  # type: ignore[arg-type]
            np.array([now], dtype=np.int64),
            num_items,
            Rejected(np.array([0, len(against)]), against, kinds) if len(against) else None,
        )


def _entries_at(start: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return where chosen rows begin once they are put together, and their entries."""
    lengths = start[rows + 1] - start[rows]
    begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return begins, runs(start[rows], lengths)


def runs(start: IntArray, number: IntArray) -> IntArray:
    """Return `start, start + 1, …`, `number` of them, one run after another, int64."""
    ends = np.cumsum(number)
    return np.repeat(start - (ends - number), number) + np.arange(ends[-1] if len(ends) else 0)


def as_histories(given: Histories | sp.csr_matrix) -> Histories:
    """Return histories as they are, and a matrix of weights, CSR [B, I], without context."""
    return given if isinstance(given, Histories) else Histories.from_matrix(given)


def one_history(given: Histories) -> Histories:
    """Return a single history as it is.

    Raises:
        DataError: there are several histories.
    """
    if len(given) != 1:
        raise DataError("one history is scored at a time", value=len(given))
    return given


class HistoryReader(Protocol):
    """Computes the weight of each history item.

    Attributes:
        reads_time: whether the weights depend on when the query is made.
    """

    name: ClassVar[str]
    reads_time: ClassVar[bool]

    @property
    def content(self) -> FloatArray:
        """The vectors of the items, float32 [I, d]."""

    def with_items(self, content: FloatArray) -> Self:
        """Return the reader with further items behind its own, by their vectors, [M, d]."""

    def weights(self, histories: Histories) -> FloatArray:
        """Return w_h for each entry, float32 [N]; a history's do not depend on its batch."""

    def settings(self) -> dict[str, Any]:
        """Return what `load` needs beside the arrays, as plain values."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parameters by name."""

    @classmethod
    def load(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build a reader again from `settings` and `arrays`."""


READERS: dict[str, str] = {
    # name: module:class
    "redundancy": "kgrec.model.redundancy_reader:RedundancyReader",
    "sequence": "kgrec.model.sequence_reader:SequenceReader",
}


def load_reader(
    name: str, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float32]]
) -> HistoryReader:
    """Build a stored reader again; raises ModelError for an unknown name."""
    if name not in READERS:
        raise ModelError(
            "the model has a reader that this version does not know",
            value=name,
            remedy="Train the model again with this version.",
        )
    reader = cast(type[HistoryReader], pkgutil.resolve_name(READERS[name]))
    return reader.load(settings, arrays)
