"""A sequence reader gives each part of one history the weights that it gives it alone."""

from __future__ import annotations

import numpy as np
import pytest

from kgrec.model.histories import Histories
from kgrec.model.remaining import Remaining
from kgrec.model.sequence_reader import SequenceReader
from kgrec.model.tokens import CYCLES, KNOTS, ReaderSettings

ITEMS, WIDTH, KINDS = 40, 8, 3
DAY = 86_400_000


def reader(seed: int, max_length: int = 50, layers: int = 0) -> SequenceReader:
    rng = np.random.default_rng(seed)
    settings = ReaderSettings(
        kinds=KINDS,
        max_length=max_length,
        width=WIDTH,
        layers=layers,
        heads=2,
        value_mean=1.0,
        value_deviation=0.4,
    )
    shapes: dict[str, tuple[int, ...]] = {
        "smoothing": (),
        "scale": (),
        "kind.weight": (KINDS, WIDTH),
        "value.weight": (WIDTH, 1),
        "cycle.weight": (WIDTH, CYCLES),
        "request_cycle.weight": (WIDTH, CYCLES),
        "request_cycle.bias": (WIDTH,),
        **{f"{name}.weight": (WIDTH, WIDTH) for name in ("query", "key")},
        **{f"{name}.bias": (WIDTH,) for name in ("query", "key")},
        **{f"recency.{scale}.table": (KNOTS, 1) for scale in range(3)},
    }
    for name in ("age", "wait", "gap", "order", "request_gap", "request_count"):
        shapes[f"{name}.table"] = (KNOTS, WIDTH)
    parameters = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    content = rng.normal(size=(ITEMS, WIDTH)).astype(np.float32)
    return SequenceReader(settings, content, parameters)


def history(rng: np.random.Generator, length: int, now: int) -> Histories:
    """Times repeat, and some are unknown."""
    at = rng.integers(0, 6, length) * DAY + np.where(rng.random(length) < 0.5, DAY, 0)
    return Histories.one(
        rng.permutation(ITEMS)[:length],
        ITEMS,
        at=at * (rng.random(length) < 0.9),
        kind=rng.integers(0, KINDS + 1, length),
        value=rng.integers(1, 6, length),
        now=now,
    )


@pytest.mark.parametrize("max_length", [50, 4])
@pytest.mark.parametrize("now", [0, 9 * DAY, 3 * DAY])
@pytest.mark.parametrize("number", [0, 1, 2, 5, 12])
def test_parts_of_a_history_are_weighted_as_each_alone(
    number: int, now: int, max_length: int
) -> None:
    rng = np.random.default_rng(number)
    for seed in range(5):
        whole, read = history(rng, 12, now), reader(seed, max_length)
        removed = np.stack([rng.permutation(12)[:number] for _ in range(20)]).astype(np.int64)
        left = Remaining(whole, removed)
        expected = left.spread_out(read.weights(whole.without(removed)))
        np.testing.assert_allclose(read.weights_without(left), expected, rtol=2e-4, atol=1e-6)


def test_the_removal_of_the_newest_item_is_seen() -> None:
    at = [5 * DAY, DAY, 2 * DAY]
    whole, read = Histories.one([0, 1, 2], ITEMS, at=at), reader(1)
    first, second = read.weights_without(Remaining(whole, np.array([[0], [1]])))
    assert first[0] == 0 == second[1]
    assert not np.isclose(first[2], second[2])
