"""The spectral agent: its filters are those of the formulas, and it is there where it is named."""

from __future__ import annotations

import numpy as np
import pytest
from tastes import Popularity, Tastes, tastes

from kgrec.data.dataset import Interactions
from kgrec.learning.agent import FitContext, NothingToLearnError
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import build_agent
from kgrec.learning.spectral import GraphFilters, SpectralConfig
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.validation import Objective
from kgrec.model.kernel import Kernel

PLAIN = {"power": 1.0, "user_power": 0.5, "item_power": 0.5, "low_pass": 0.0}
SMOOTH = {"candidate_power": 0.5, "sharpen": 0.25}


@pytest.fixture(scope="module")
def world() -> Tastes:
    return tastes(items=60, users=80)


def _normalised(world: Tastes) -> tuple[np.ndarray, np.ndarray]:
    binary = (world.train.matrix().toarray() > 0).astype(float)
    users, items = np.maximum(binary.sum(axis=1), 1), np.maximum(binary.sum(axis=0), 1)
    return binary / np.sqrt(np.outer(users, items)), items


def _whole(kernel: Kernel, num_items: int) -> np.ndarray:
    every = np.arange(num_items)
    return kernel.similarity(every, every)


def test_the_first_part_is_the_graph_of_items(world: Tastes) -> None:
    normalised, _ = _normalised(world)
    graph = normalised.T @ normalised
    np.fill_diagonal(graph, 0.0)
    filters = GraphFilters(FitContext(world.train), SpectralConfig(row_size=60))
    found = _whole(filters.kernel(PLAIN | SMOOTH), world.train.num_items)
    np.testing.assert_allclose(found, graph, atol=1e-6)
    rooted = _whole(filters.kernel(PLAIN | SMOOTH | {"power": 0.5}), world.train.num_items)
    np.testing.assert_allclose(rooted, np.sqrt(graph), atol=1e-5)


def test_the_second_part_passes_the_leading_directions_and_is_sharpened(world: Tastes) -> None:
    rank, num_items = 6, world.train.num_items
    normalised, items = _normalised(world)
    values, vectors = np.linalg.eigh(normalised.T @ normalised)
    lead, value = vectors[:, -rank:], values[-rank:]
    assert values[-rank] > 1.02 * values[-rank - 1]  # else which directions lead is rounding
    config = SpectralConfig(rank=rank, row_size=60)
    filters = GraphFilters(FitContext(world.train), config)
    plain = _whole(filters.kernel(PLAIN | SMOOTH), num_items)
    mixed = _whole(filters.kernel(PLAIN | SMOOTH | {"low_pass": 0.5}), num_items) - plain
    root = np.sqrt(items)
    wanted = (lead * (1 - SMOOTH["sharpen"] * value)) @ lead.T * root / root[:, None]
    weight = (mixed * wanted).sum() / (wanted**2).sum()
    assert weight > 0
    np.testing.assert_allclose(mixed / weight, wanted, atol=0.02 * np.abs(wanted).max())


def test_it_finds_tastes_by_what_it_chose_on_the_validation_part() -> None:
    world = tastes()
    context = FitContext(world.train, world.valid)
    kernel = build_agent("spectral").fit(context)
    held_out = context.held_out(Objective())
    assert held_out is not None
    found = held_out.measure(kernel.scores)
    assert found > 1.2 * held_out.measure(Popularity(world).scores)
    again = build_agent("spectral", dict(kernel.chosen)).fit(FitContext(world.train))
    histories = world.train.matrix()
    np.testing.assert_allclose(again.scores(histories), kernel.scores(histories), rtol=1e-4)
    other = build_agent("spectral", {"power": 3.0, "user_power": 1.0, "low_pass": 0.8}).fit(context)
    assert found > held_out.measure(other.scores)


def test_what_the_history_items_contribute_adds_up_to_the_score(world: Tastes) -> None:
    settings = PLAIN | SMOOTH | {"low_pass": 0.4}
    team = fit_team(
        world.train, None, TeamConfig(agents=("spectral",), settings={"spectral": settings})
    )
    histories = FitContext(world.train).histories[3:4]
    kernel = team.kernels[0]
    weights = kernel.weights(histories).astype(float)
    every = np.arange(world.train.num_items)
    parts = weights[:, None] * kernel.similarity(histories.item, every)
    np.testing.assert_allclose(parts.sum(axis=0), kernel.scores(histories)[0], atol=1e-5)


def test_it_is_in_no_team_that_does_not_name_it(world: Tastes) -> None:
    assert "spectral" not in TeamConfig().agents
    nothing = world.train.with_interactions(Interactions.empty())
    with pytest.raises(NothingToLearnError):
        build_agent("spectral").fit(FitContext(nothing))
