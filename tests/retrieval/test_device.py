"""Device and scenario: learned where they matter, named in the answer, refused where unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from planted import START, Planted, item_id, plant, train, user_id, write_interactions

from kgrec.data.selection import Selection
from kgrec.errors import ConfigError
from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.agent import FitContext
from kgrec.learning.profile import ContextConfig, choose_contexts, context_priors
from kgrec.metrics.validation import Objective
from kgrec.model.storage import load_team, save_team
from kgrec.retrieval.batch import recommend_all
from kgrec.retrieval.context import Context
from kgrec.retrieval.recommender import Recommender
from kgrec.stages.publish import publish

PHONE = [n for n in range(160) if n // 4 % 2 == 0]
"""What is watched on a phone; everything else is watched on a television."""


def watched(device: str, number: int, seed: int) -> list[dict[str, object]]:
    """Some interactions of each user, on one device."""
    rng = np.random.default_rng(seed)
    items = [n for n in range(160) if (n in PHONE) == (device == "phone")]
    rows = []
    for user in range(60):
        taste = [n for n in items if n % 4 == user % 4]
        for step, item in enumerate(rng.permutation(taste)[:number]):
            at = START + timedelta(days=100 + 10 * seed + step)
            one = {"user": user_id(user), "item": item_id(int(item)), "kind": "rating"}
            rows.append({**one, "value": 4.0, "at": at, "device": device})
    return rows


@pytest.fixture(scope="module")
def live(store: GraphStore, home: Path) -> Planted:
    plant(store, each=4)
    for seed, device in enumerate(("phone", "television"), start=1):
        rows = watched(device, 6, seed)
        write_interactions(store, rows)
        store.query(
            "UNWIND $rows AS row MATCH (u:User {user_id: row.user})-[x:INTERACTED]->"
            "(i:Item {item_id: row.item}) WHERE x.at = row.at SET x.device = row.device",
            {"rows": rows},
            writing=True,
        )
    dataset, team = train(store)
    late = dataset.interactions.at % 86_400_000 == 0
    rng = np.random.default_rng(2)
    held = late & (dataset.interactions.context > 0) & (rng.random(len(late)) < 0.3)
    part = dataset.with_interactions(dataset.interactions.take(~held))
    context = FitContext(part, dataset.interactions.take(held))
    chosen = choose_contexts(team, context, Objective(k=10))
    assert chosen["device"]["weight"] > 0, chosen
    assert chosen["device"]["gain"] > 4 * chosen["device"]["error"]
    assert "scenario" not in chosen
    team = replace(team, contexts=context_priors(dataset, chosen))
    save_team(team, home / "models" / "devices")
    publish(store, team, "devices")
    return Planted(store, dataset, team, home / "models", "devices")


def test_the_device_moves_the_list_and_is_named(live: Planted) -> None:
    recommender = Recommender(live.store, live.models)
    plain = recommender.recommend(user_id(3))
    assert "device" not in plain.context
    shares = {}
    for device in ("phone", "television"):
        found = recommender.recommend(user_id(3), context=Context(device=device))
        assert "device" in found.context
        shares[device] = np.mean([int(item.item_id[1:]) in PHONE for item in found.items])
    assert shares["phone"] > shares["television"]
    unknown = recommender.recommend(user_id(3), device="fridge")
    assert "device" not in unknown.context
    assert [i.score for i in unknown.items] == [i.score for i in plain.items]


def test_every_way_gives_the_same_bits_and_they_sum(live: Planted) -> None:
    recommender = Recommender(live.store, live.models)
    explainer = Explainer(recommender)
    found = recommender.recommend(user_id(5), 6, device="phone")
    every = recommend_all(live.store, recommender.live.current(), 6, device="phone")
    mine = next(top for top in every if top.user_id == user_id(5))
    assert mine.scores.tolist() == [item.score for item in found.items]
    item = found.items[2]
    why = explainer.explain(user_id(5), item.item_id, found.request_id)
    assert (why.score, why.list_rank) == (item.score, 3)
    [context] = [agent for agent in why.agents if agent.agent == "context"]
    assert context.prior == item.contributions["context"] != 0
    parts = sum(each.contribution for each in why.history) + sum(a.prior for a in why.agents)
    assert parts == pytest.approx(why.score, abs=1e-9)
    removed = {each.item_id: each.deletion_effect for each in why.history}
    query, _ = explainer.query(user_id(5), found.request_id)
    one = next(iter(removed))
    scores = live.team.scorer(query.history.without(one).histories, {"device": "phone"}).scores()
    row = live.team.items.row(item.item_id)
    assert scores[row] - item.score == pytest.approx(removed[one], abs=1e-6)
    after = recommender.next_page(str(found.cursor), user_id(5))
    assert "device" in after.context


def test_a_field_that_no_agent_knows_is_refused(live: Planted) -> None:
    recommender = Recommender(live.store, live.models)
    with pytest.raises(ConfigError, match="context field 'scenario'") as caught:
        recommender.recommend(user_id(3), scenario="commute")
    assert "device" in str(caught.value.remedy)
    with pytest.raises(ConfigError, match="context field 'scenario'"):
        recommender.recommend("loner", scenario="commute")
    Context.of({"device": "phone"}, known=("device",))


def test_the_priors_are_stored(live: Planted) -> None:
    loaded = load_team(live.models / "devices").contexts
    assert loaded is not None
    assert live.team.contexts is not None
    assert loaded.values == live.team.contexts.values == {"device": ("phone", "television")}
    np.testing.assert_array_equal(loaded.rows, live.team.contexts.rows)


def test_devices_that_do_not_matter_add_nothing(live: Planted) -> None:
    dataset = read_dataset(live.store, Selection(domain="movies"))
    rng = np.random.default_rng(0)
    known = dataset.interactions
    shuffled = replace(known, context=rng.permutation(known.context))
    held = rng.random(len(known)) < 0.2
    part = dataset.with_interactions(shuffled.take(~held))
    context = FitContext(part, shuffled.take(held))
    chosen = choose_contexts(
        live.team, context, Objective(k=10), ContextConfig(standard_errors=2.0)
    )
    assert chosen["device"]["weight"] == 0
    assert context_priors(dataset, chosen) is None
