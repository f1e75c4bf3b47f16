from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("generated")


def test_the_same_arguments_give_the_same_data(generated: Any) -> None:
    first, again = (generated.generate(300, 400, 4000, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.train.interactions.item, again.train.interactions.item)
    np.testing.assert_array_equal(first.train.facts.entity, again.train.facts.entity)
    other = generated.generate(300, 400, 4000, seed=4)
    assert not np.array_equal(first.test.item, other.test.item)


def test_parts_follow_each_other_and_no_user_takes_an_item_twice(generated: Any) -> None:
    data = generated.generate(300, 400, 4000, cold=0.05)
    train = data.train.interactions
    everything = train.concat(data.valid).concat(data.test)
    assert 0.9 * 4000 < len(everything) <= 1.2 * 4000
    pairs = everything.user * 400 + everything.item
    assert len(np.unique(pairs)) == len(pairs)
    assert sorted(data.test.user) == list(range(300))
    last = np.zeros(300)
    np.maximum.at(last, train.user, train.at)
    assert (last[data.valid.user] <= data.valid.at).all()
    cold = np.setdiff1d(data.test.item, np.concatenate([train.item, data.valid.item]))
    assert len(cold)


def test_tastes_and_knowledge_go_together(generated: Any) -> None:
    data = generated.generate(500, 1000, 10_000)
    together = (data.train.matrix().T @ data.train.matrix()).toarray()
    alike = (data.train.features() @ data.train.features().T).toarray()
    np.fill_diagonal(alike, 0)
    expected = together.sum(axis=1)[:, None] * together.sum(axis=0) / together.sum()
    near = alike >= 3
    assert together[near].sum() > 1.5 * expected[near].sum()
    assert data.train.facts.entity.max() < len(data.train.entities)
