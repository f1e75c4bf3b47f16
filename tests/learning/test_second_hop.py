"""A world that only the second hop solves: each film has a director of its own, who has a country.

Users take films of one country. No two films share a director, so that facts alone connect nothing,
and the films that are asked for are new, so that users connect nothing either.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Dataset, Facts, Interactions, Links, LinkType
from kgrec.data.protocols import ProtocolConfig, hold_out
from kgrec.data.vocabulary import Vocabulary
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.learning.agent import FitContext, NothingToLearnError
from kgrec.learning.fit_team import fit_team
from kgrec.learning.knowledge.agent import KnowledgeAgent, KnowledgeConfig
from kgrec.learning.knowledge_features import item_features
from kgrec.learning.link_prediction.problem import UntilItStands
from kgrec.learning.team_config import TeamConfig

COUNTRIES, USERS, ITEMS, EACH = 4, 150, 120, 14
TEAM: dict[str, Any] = {
    "agents": ("linear", "collaborative", "knowledge"),
    "settings": {
        "collaborative": {"embedding_dim": 16, "tau": 0.3, "schedule": {"steps": 40}},
        "knowledge": {"embedding_dim": 16, "schedule": {"steps": 80, "check_from": 40}},
    },
    "ranker": {"use": "never"},
}


def world(kind: str = "entity") -> SplitDataset:
    """Draw it: with links between entities, between items, or with none."""
    rng = np.random.default_rng(3)
    country = np.arange(ITEMS) % COUNTRIES
    popular = 1.0 / np.sqrt(1.0 + rng.permutation(ITEMS))
    pairs = []
    for user in range(USERS):
        odds = popular * np.where(country == user % COUNTRIES, 12.0, 1.0)
        pairs += [(user, i) for i in rng.choice(ITEMS, EACH, replace=False, p=odds / odds.sum())]
    user, item = np.array(pairs, dtype=np.int64).T
    ones = np.ones(len(pairs), dtype=np.float32)
    items, directors = np.arange(ITEMS), np.arange(ITEMS)
    links = Links.empty()
    if kind == "entity":
        types = (LinkType("entity", "BORN_IN", "entity"),)
        sure = np.ones(ITEMS, dtype=np.float32)
        links = Links(directors, np.zeros_like(items), ITEMS + country, sure, types)
    if kind == "item":  # each film is a sequel of the one before it of its country
        later = np.arange(COUNTRIES, ITEMS)
        sure = np.ones(len(later), dtype=np.float32)
        types = (LinkType("item", "SEQUEL_OF", "item"),)
        links = Links(later, np.zeros_like(later), later - COUNTRIES, sure, types)
    dataset = Dataset(
        Vocabulary(f"u{n}" for n in range(USERS)),
        Vocabulary(f"i{n}" for n in range(ITEMS)),
        Interactions(user, item, ones, np.arange(len(pairs))),
        Vocabulary(f"e{n}" for n in range(ITEMS + COUNTRIES)),
        Facts(items, np.zeros_like(items), directors, ones[:ITEMS], ("DIRECTED_BY",)),
        links=links,
    )
    none = Interactions.empty()
    whole = SplitDataset("second hop", dataset, none, none)
    return hold_out(whole, ProtocolConfig(name="cold-item", share=0.2), seed=1)


def recall(data: SplitDataset) -> float:
    """Return Recall@5 of the team among new items."""
    team = fit_team(data.train, data.valid, TeamConfig(**TEAM), given=data.valid_given)
    found = measure(team, HeldOutQueries(data, "train", (5,)))
    assert found.among_cold is not None
    return found.among_cold.at[5]["recall"].mean


def recall_of_popular(data: SplitDataset) -> float:
    """Return Recall@5 of the new items that are the most popular in the test part itself.

    No list that is the same for all users does better.
    """
    wanted = data.test.matrix(USERS, ITEMS)
    best = np.argsort(-np.asarray(wanted.sum(axis=0)).ravel(), kind="stable")[:5]
    found = np.asarray(wanted[:, best].sum(axis=1)).ravel()
    asked = np.diff(wanted.indptr)
    return float((found[asked > 0] / asked[asked > 0]).mean())


def test_links_find_new_items_that_facts_cannot() -> None:
    data = world()
    popular = recall_of_popular(data)
    bare = replace(data, train=replace(data.train, links=Links.empty()))
    assert recall(bare) < popular + 0.02
    assert recall(data) > popular + 0.2


@pytest.mark.parametrize("kind", ["entity", "item"])
def test_the_knowledge_agent_finds_new_items_by_links(kind: str) -> None:
    data = world(kind)
    assert data.cold is not None
    config = KnowledgeConfig(embedding_dim=16, schedule=UntilItStands(steps=80, check_from=40))
    train = data.train
    if kind == "item":  # without facts that items share there is nothing to learn
        shared = replace(train.facts, entity=train.facts.entity // 2 % 50)
        train = replace(train, facts=shared)
    gaps = []
    for known in (train, replace(train, links=Links.empty())):
        try:
            kernel = KnowledgeAgent(config).fit(FitContext(known, data.valid))
        except NothingToLearnError:
            gaps.append(0.0)
            continue
        scores = kernel.scores(train.matrix())[:, data.cold]
        alike = data.cold[None, :] % COUNTRIES == np.arange(USERS)[:, None] % COUNTRIES
        gaps.append(float(scores[alike].mean() - scores[~alike].mean()) / scores.std())
    assert gaps[0] > 0.8
    assert gaps[1] < 0.3


def test_the_knowledge_agent_leaves_links_out_that_say_nothing() -> None:
    data = world("item")
    train = replace(data.train, facts=replace(data.train.facts, entity=np.arange(ITEMS) // 2))
    links = train.links
    tails = np.random.default_rng(5).permutation(links.tail)
    drawn = replace(train, links=replace(links, tail=tails))
    config = KnowledgeConfig(embedding_dim=16, schedule=UntilItStands(steps=80, check_from=40))
    kernel = KnowledgeAgent(config).fit(FitContext(drawn, data.valid))
    assert kernel.chosen["link_layers"] == 0
    bare = KnowledgeAgent(config).fit(FitContext(replace(train, links=Links.empty()), data.valid))
    np.testing.assert_array_equal(
        kernel.scores(train.matrix()[:5]), bare.scores(train.matrix()[:5])
    )
    few = config.model_copy(update={"least_links": 10.0})
    assert "link_layers" not in KnowledgeAgent(few).fit(FitContext(drawn, data.valid)).chosen


def test_the_second_hop_is_a_feature_of_less_weight() -> None:
    train = world().train
    one, two = item_features(train, 0.0), item_features(train, 0.5)
    assert one.shape == (ITEMS, 0)
    assert two.shape == (ITEMS, COUNTRIES)
    np.testing.assert_array_equal(np.sort(two.indices.reshape(ITEMS)), np.repeat(range(4), 30))
    assert set(two.data.tolist()) == {0.5}


def test_linked_items_share_a_feature() -> None:
    train = world("item").train
    features = item_features(train, 0.5)
    alike = sp.csr_matrix(features @ features.T)
    assert alike[0, COUNTRIES] > 0
    assert alike[0, 1] == 0


def test_without_links_the_features_are_those_of_the_facts() -> None:
    train = replace(world().train, links=Links.empty())
    shared = replace(train, facts=replace(train.facts, entity=train.facts.entity // 2))
    assert (item_features(shared) != shared.features()).nnz == 0
