"""The columns that agents learn from."""

from __future__ import annotations

import numpy as np
import pytest

from kgrec.data.dataset import Column


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        ([1, 2.5, None], None),
        (["a", "b", ""], ("a", "b")),
        ([True, False, None], ("False", "True")),
        ([1, "x", None], ("1", "x")),
        ([str(n) for n in range(100)], None),
        ([str(n % 40) for n in range(100)], None),
        ([str(n % 9) for n in range(100)], tuple("012345678")),
        ([f"state {n % 50}" for n in range(100)], tuple(sorted(f"state {n}" for n in range(50)))),
    ],
)
def test_a_property_becomes_a_typed_column(
    values: list[object], categories: tuple[str, ...] | None
) -> None:
    column = Column.of("p", values)
    assert column is not None
    assert column.categories == categories
    assert column.values.dtype == (np.float32 if categories is None else np.int64)
    assert len(column.values) == len(values)
    if values[-1] in (None, ""):
        missing = column.values[-1]
        assert missing == -1 if categories else np.isnan(missing)


@pytest.mark.parametrize(
    "values",
    [[None, ""], [["a"], None], [f"text {n}" for n in range(100)], [f"u{n}" for n in range(9)]],
)
def test_free_text_lists_and_nothing_are_no_columns(values: list[object]) -> None:
    assert Column.of("p", values) is None
