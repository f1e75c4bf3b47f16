"""The columns that agents learn from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kgrec.data.dataset import Column, Dataset, Facts, Interactions, Links, LinkType
from kgrec.data.vocabulary import Vocabulary


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        ([1, 2.5, None], None),
        (["a", "b", ""], ("a", "b")),
        ([True, False, None], ("False", "True")),
        ([1, "x", None], ("1", "x")),
        ([str(n) for n in range(100)], None),
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


def dataset() -> Dataset:
    one = np.zeros(1, dtype=np.int64)
    half = np.full(1, 0.5, dtype=np.float32)
    return Dataset(
        Vocabulary("u"),
        Vocabulary("i"),
        Interactions(one, one, half, one),
        Vocabulary("ef"),
        Facts(one, one, one, half, ("R",)),
        ("text",),
        ("E", "F"),
        Links(one, one, one + 1, half, (LinkType("entity", "L", "entity"),)),
        (Column("age", half),),
    )


def test_the_digest_is_of_everything() -> None:
    data = dataset()
    assert data.digest == dataset().digest
    one = np.zeros(1, dtype=np.int64)
    changed = [
        replace(data, items=Vocabulary("j")),
        replace(data, interactions=replace(data.interactions, at=one + 7)),
        replace(data, facts=replace(data.facts, relations=("S",))),
        replace(data, links=replace(data.links, tail=one)),
        replace(data, links=replace(data.links, types=(LinkType("entity", "M", "entity"),))),
        replace(data, user_columns=()),
        replace(data, user_columns=(Column("age", one, ("x",)),)),
        replace(data, item_texts=("other",)),
        replace(data, entity_names=("E", "G")),
    ]
    assert len({one.digest for one in [data, *changed]}) == len(changed) + 1
