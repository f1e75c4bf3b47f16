"""The same to the last bit with a gate, a ranker and an agent that reads order and time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted import Planted, plant, train, user_id

from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.learning.blending.listwise import ratings_of
from kgrec.learning.sequential.network import ReaderNetwork
from kgrec.model.coordinator import Coordinator
from kgrec.model.gate import Gate, state_names
from kgrec.model.ranker import Ranker
from kgrec.model.sequence_reader import SequenceReader
from kgrec.model.storage import save_team
from kgrec.model.tokens import ReaderSettings
from kgrec.retrieval.batch import recommend_all
from kgrec.retrieval.recommender import Recommender
from kgrec.stages.publish import publish


@pytest.fixture(scope="module")
def gated(store: GraphStore, home: Path) -> Planted:
    plant(store)
    dataset, team = train(store)
    rng = np.random.default_rng(4)
    settings = ReaderSettings(
        kinds=3, max_length=50, width=8, layers=1, heads=2, value_mean=3.5, value_deviation=1.0
    )
    torch.manual_seed(2)
    network = ReaderNetwork(settings).eval()
    parameters = {name: value.numpy() for name, value in network.state_dict().items()}
    content = rng.normal(size=(len(team.items), 8)).astype(np.float32)
    reader = SequenceReader(settings, content, parameters)
    kernels = (team.kernels[0], replace(team.kernels[1], attention=reader))
    columns = len(state_names(team.agents))
    gate = Gate(
        rng.choice(len(team.items), 30, replace=False).astype(np.int64),
        rng.normal(size=columns),
        rng.random(columns),
        rng.normal(scale=0.5, size=(2, columns + 1)),
    )
    popularity = np.linspace(1.0, -1.0, len(team.items)).astype(np.float32)
    ranker = Ranker(
        np.ones(2),
        np.array([0.5, 0.2]),
        np.array([0.0, -0.5]),
        0.01,
        0.1,
        popularity,
        -0.5 * popularity,
        replace(ratings_of(dataset.interactions, len(team.items)), trust=0.5, weight=0.2),
        top=20,
    )
    coordinator = Coordinator(team.coordinator.weights, gate)
    team = replace(team, kernels=kernels, coordinator=coordinator, ranker=ranker)
    save_team(team, home / "models" / "gated")
    publish(store, team, "gated")
    return Planted(store, dataset, team, home / "models", "gated")


@pytest.mark.parametrize("resident", [False, True])
def test_every_way_gives_the_same_bits(gated: Planted, resident: bool) -> None:
    recommender = Recommender(gated.store, gated.models, resident=resident)
    recommender.warm_up()
    explainer, rng = Explainer(recommender), np.random.default_rng(6)
    shares = []
    for _ in range(8):
        user = user_id(int(rng.integers(60)))
        knobs: dict[str, Any] = {
            "k": int(rng.integers(1, 30)),
            "filters": ("year>=1970",) if rng.random() < 0.5 else (),
            "diversity": float(rng.choice([0.0, 0.4])),
        }
        found = recommender.recommend(user, **knobs)
        shares.append(found.shares["linear"])
        assert "time" in found.context
        every = recommend_all(gated.store, recommender.live.current(), **knobs)
        mine = next(top for top in every if top.user_id == user)
        batch = zip(gated.team.items.take(mine.rows), mine.scores.tolist(), strict=True)
        assert list(batch) == [(item.item_id, item.score) for item in found.items]
        for rank in sorted({1, len(found.items)}):
            item = found.items[rank - 1]
            why = explainer.explain(user, item.item_id, found.request_id, counterfactual=False)
            assert (why.score, why.list_rank, why.changed) == (item.score, rank, ())
            parts = sum(each.contribution for each in why.history)
            assert parts + sum(a.prior for a in why.agents) == pytest.approx(why.score, abs=1e-5)
    assert np.ptp(shares) > 0.001, "the gate moves the shares from user to user"
