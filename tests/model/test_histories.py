from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.dataset import Interactions
from kgrec.data.selection import kind_codes
from kgrec.errors import DataError
from kgrec.model.histories import Histories, as_histories, one_history


def taken(rows: list[tuple[int, int, int]]) -> Interactions:
    user, item, at = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Interactions(user, item, at.astype(np.float32), at, at % 3)


def test_the_last_of_repeated_interactions_counts() -> None:
    histories = Histories.of(taken([(1, 2, 5), (0, 3, 1), (1, 2, 9), (1, 0, 7)]), 3, 4)
    assert histories.start.tolist() == [0, 1, 3, 3]
    assert histories.item.tolist() == [3, 0, 2]
    assert histories.at.tolist() == [1, 7, 9]
    assert histories.value.tolist() == [1, 7, 9]
    assert histories.kind.tolist() == [1, 1, 0]
    assert histories.lengths.tolist() == [1, 2, 0]
    assert histories.owner.tolist() == [0, 1, 1]


rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 50)), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None)
@given(rows, st.lists(st.integers(0, 4), max_size=6))
def test_rows_are_those_of_the_matrix(
    given_rows: list[tuple[int, int, int]], chosen: list[int]
) -> None:
    interactions = taken(given_rows)
    histories = Histories.of(interactions, 5, 7)
    whole = interactions.matrix(5, 7)
    np.testing.assert_array_equal(histories.matrix.toarray(), whole.toarray())
    part = histories[np.array(chosen, dtype=np.int64)]
    np.testing.assert_array_equal(part.matrix.toarray(), whole[chosen].toarray())
    np.testing.assert_array_equal(histories[1:3].matrix.toarray(), whole[1:3].toarray())


def test_entries_can_be_taken_out() -> None:
    history = Histories.one([4, 1, 3], 6, at=[30, 10, 20], now=99)
    left = history.without(np.array([[0], [2]]))
    assert len(left) == 2
    assert left.item.tolist() == [1, 3, 4, 1]
    assert left.at.tolist() == [10, 20, 30, 10]
    assert left.now.tolist() == [99, 99]
    whole = history.without(np.zeros((2, 0), dtype=np.int64))
    assert whole.item.tolist() == [4, 1, 3] * 2


def test_a_matrix_is_a_batch_without_context() -> None:
    matrix = sp.csr_matrix(np.array([[0, 0.5, 0], [1, 0, 1]], dtype=np.float32))
    histories = as_histories(matrix)
    np.testing.assert_array_equal(histories.matrix.toarray(), matrix.toarray())
    assert not histories.at.any()
    assert as_histories(histories) is histories


def test_one_history_is_one() -> None:
    one = Histories.one([2, 0], 3, weight=[0.5, 2.0])
    assert one_history(one) is one
    with pytest.raises(DataError, match="one history"):
        one_history(Histories.from_matrix(sp.csr_matrix((2, 3))))
    with pytest.raises(DataError, match="one history only"):
        Histories.from_matrix(sp.csr_matrix((2, 3))).without(np.zeros((1, 0), dtype=np.int64))


def test_columns_must_agree() -> None:
    zeros = np.zeros(2, dtype=np.int64)
    ones = np.ones(2, dtype=np.float32)
    with pytest.raises(DataError, match="length"):
        Histories(np.array([0, 3]), zeros, ones, zeros, zeros, ones, zeros[:1], 4)
    with pytest.raises(DataError, match="query times"):
        Histories(np.array([0, 2]), zeros, ones, zeros, zeros, ones, zeros, 4)


def test_kinds_are_numbered_from_one() -> None:
    assert kind_codes(["view", "rating", "nonsense"]).tolist() == [1, 5, 0]


def test_interactions_without_kinds_have_unknown_ones() -> None:
    none = np.zeros(2, dtype=np.int64)
    plain = Interactions(none, none, np.ones(2, dtype=np.float32), none)
    assert plain.kind.tolist() == [0, 0]
    both = plain.concat(taken([(0, 1, 4)]), Interactions.empty())
    assert both.kind.tolist() == [0, 0, 1]
    assert both.take(np.array([2])).at.tolist() == [4]
