"""Protocols: what is held out never stands in what is learned from or what is chosen on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Dataset, Facts, Interactions
from kgrec.data.protocols import Cut, Protocol, ProtocolConfig, hold_out, once, settings_of
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import DataError

PROTOCOLS: tuple[Protocol, ...] = ("warm", "temporal", "cold-item", "cold-user")


def world(seed: int, *, users: int = 20, items: int = 30, rows: int = 400) -> SplitDataset:
    """Draw interactions, some of them repeated, at distinct times."""
    rng = np.random.default_rng(seed)
    interactions = Interactions(
        rng.integers(users, size=rows),
        rng.integers(items, size=rows),
        np.arange(rows, dtype=np.float32),
        rng.permutation(rows) + 1_000,
    )
    dataset = Dataset(
        Vocabulary(f"u{n}" for n in range(users)),
        Vocabulary(f"i{n}" for n in range(items)),
        interactions,
        item_texts=tuple(f"Film {n}" for n in range(items)),
    )
    return SplitDataset("drawn", dataset, Interactions.empty(), Interactions.empty())


def pairs(*parts: Interactions) -> set[tuple[int, int]]:
    return {pair for part in parts for pair in zip(part.user, part.item, strict=True)}


def held(protocol: Protocol, seed: int, **more: object) -> SplitDataset:
    config = ProtocolConfig.model_validate({"name": protocol, **more})
    return hold_out(world(seed), config, seed=seed)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(PROTOCOLS), st.integers(0, 10_000), st.sampled_from(["global", "user"]))
def test_no_pair_that_is_asked_for_is_known_before(protocol: Protocol, seed: int, cut: str) -> None:
    data = held(protocol, seed, cut=cut)
    train = pairs(data.train.interactions)
    assert not pairs(data.valid) & (train | pairs(data.valid_given))
    assert not pairs(data.test) & (train | pairs(data.valid_given, data.valid, data.test_given))
    everything = pairs(world(seed).train.interactions)
    parts = (data.train.interactions, data.valid_given, data.valid, data.test_given, data.test)
    assert pairs(*parts) == everything
    assert sum(map(len, (data.train.interactions, data.valid, data.test))) <= len(everything)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_nothing_is_learned_of_cold_items(seed: int) -> None:
    data = held("cold-item", seed)
    assert data.cold is not None
    asked, chosen = set(data.test.item), set(data.valid.item)
    assert asked == set(data.cold)
    assert not asked & chosen
    assert not (asked | chosen) & set(data.train.interactions.item)
    assert not len(data.valid_given)
    assert not len(data.test_given)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_nothing_is_learned_of_cold_users(seed: int) -> None:
    data = held("cold-user", seed)
    asked, chosen = set(data.test.user), set(data.valid.user)
    assert not asked & chosen
    assert not (asked | chosen) & set(data.train.interactions.user)
    assert set(data.test_given.user) == asked
    assert set(data.valid_given.user) == chosen
    for user in asked:
        shown = data.test_given.at[data.test_given.user == user]
        assert shown.max() < data.test.at[data.test.user == user].min()
        assert len(shown) >= 3 * (data.test.user == user).sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_time_runs_one_way(seed: int) -> None:
    data = held("temporal", seed)
    learned = data.train.interactions.at.max()
    chosen = np.concatenate([data.valid.at, data.valid_given.at])
    assert learned < chosen.min()
    assert chosen.max() < data.test.at.min()
    assert pairs(data.valid, data.valid_given) <= pairs(data.test_given)
    for user in set(data.test.user):
        known = data.test_given.at[data.test_given.user == user]
        assert (known < data.test.at[data.test.user == user].min()).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["global", "user"]), st.sampled_from([1, 40]))
def test_users_ask_after_all_that_is_known_and_before_what_they_take(
    seed: int, cut: Cut, moment: int
) -> None:
    """Also where so many interactions have the same time."""
    drawn = world(seed)
    rows = replace(drawn.train.interactions, at=drawn.train.interactions.at // moment * moment)
    drawn = replace(drawn, train=drawn.train.with_interactions(rows))
    data = hold_out(drawn, ProtocolConfig(name="temporal", cut=cut), seed=seed)
    for part, given_too in ((data.valid, data.valid_given), (data.test, data.test_given)):
        requested = data.requests(part)
        assert requested is not None
        assert set(np.flatnonzero(requested)) == set(part.user)
        known = data.train.interactions.concat(given_too)
        for user in set(part.user):
            assert requested[user] == part.at[part.user == user].min()
            assert (known.at[known.user == user] <= requested[user]).all()


def test_nobody_knows_when_users_ask_for_what_is_not_held_out_by_time() -> None:
    whole = world(1)
    for protocol in ("given", "warm", "cold-item", "cold-user"):
        data = hold_out(whole, ProtocolConfig(name=protocol), seed=1)
        assert data.requests(data.valid) is None
        assert data.requests(data.test) is None


def test_the_parts_of_a_global_cut_by_hand() -> None:
    # Ten interactions at times 1 to 10: 8 are learned from at a share of .1; the last two are
    # asked for, since both users were there before.
    rows = [(0, n) for n in range(4)] + [(1, n) for n in range(4)] + [(0, 5), (1, 5)]
    user, item = (np.array(column) for column in zip(*rows, strict=True))
    interactions = Interactions(user, item, np.ones(10, np.float32), np.arange(1, 11))
    whole = world(1)
    whole = replace(whole, train=whole.train.with_interactions(interactions))
    data = hold_out(whole, ProtocolConfig(name="temporal"), seed=1)
    assert data.train.interactions.at.tolist() == list(range(1, 9))
    assert (data.valid.at.tolist(), data.valid_given.at.tolist()) == ([9], [])
    assert (data.test.at.tolist(), data.test_given.at.tolist()) == ([10], [9])


def test_a_newcomer_is_asked_for_what_comes_after_their_first() -> None:
    # User 2 comes after the cut with four interactions: two are known, two are asked for;
    # user 3 with one, which is known.
    rows = [(0, n) for n in range(20)] + [(1, 1), (2, 1), (2, 2), (2, 3), (2, 4), (3, 1)]
    user, item = (np.array(column) for column in zip(*rows, strict=True))
    interactions = Interactions(user, item, np.ones(26, np.float32), np.arange(1, 27))
    whole = world(1)
    whole = replace(whole, train=whole.train.with_interactions(interactions))
    data = hold_out(whole, ProtocolConfig(name="temporal", share=0.2), seed=1)
    assert data.train.interactions.at.tolist() == list(range(1, 16))
    assert data.test.at.tolist() == [24, 25]
    assert set(data.test_given.at) == {*range(16, 24), 26}


def test_each_user_keeps_the_latest_for_the_end() -> None:
    data = held("temporal", 3, cut="user")
    for user in range(20):
        learned = data.train.interactions
        assert (
            learned.at[learned.user == user].max()
            < data.valid.at[data.valid.user == user].min()
            <= data.valid.at[data.valid.user == user].max()
            < data.test.at[data.test.user == user].min()
        )
    assert pairs(data.test_given) == pairs(data.valid)


def test_the_same_seed_holds_out_the_same() -> None:
    for protocol in PROTOCOLS:
        one, two = held(protocol, 4), held(protocol, 4)
        assert one.test.value.tolist() == two.test.value.tolist()
    assert held("warm", 4).test.value.tolist() != held("warm", 5).test.value.tolist()


def test_a_pair_counts_at_its_first_time() -> None:
    user, item, at = np.array([0, 0, 1]), np.array([2, 2, 2]), np.array([9, 3, 5])
    left = once(Interactions(user, item, np.ones(3, np.float32), at))
    assert left.at.tolist() == [3, 5]


def test_a_pair_counts_at_a_known_time_where_it_has_one() -> None:
    at = np.array([0, 7, 4, 0])
    user, item = np.array([0, 0, 0, 1]), np.array([2, 2, 2, 2])
    left = once(Interactions(user, item, np.ones(4, np.float32), at))
    assert left.at.tolist() == [4, 0]


def test_a_split_that_is_given_stays_as_it_is() -> None:
    whole = world(1)
    assert hold_out(whole, ProtocolConfig(), seed=1) is whole


def test_data_that_lacks_what_a_protocol_needs_is_an_error() -> None:
    whole = world(1)
    untimed = replace(whole.train.interactions, at=np.zeros(400, np.int64))
    timeless = replace(whole, train=whole.train.with_interactions(untimed))
    with pytest.raises(DataError, match=r"no times.*--protocol warm"):
        hold_out(timeless, ProtocolConfig(name="temporal"), seed=1)
    unknown = replace(whole, train=replace(whole.train, item_texts=()))
    with pytest.raises(DataError, match=r"neither facts nor texts"):
        hold_out(unknown, ProtocolConfig(name="cold-item"), seed=1)
    few = replace(whole, train=whole.train.with_interactions(whole.train.interactions.take([0])))
    for name in PROTOCOLS:
        with pytest.raises(DataError, match=r"leaves nothing|too few"):
            hold_out(few, ProtocolConfig(name=name), seed=1)


def test_facts_alone_make_cold_items_known() -> None:
    whole = world(1)
    one = np.zeros(1, np.int64)
    facts = Facts(one, one, one, np.ones(1, np.float32), ("HAS_GENRE",))
    known = replace(whole.train, item_texts=(), entities=Vocabulary(["Drama"]), facts=facts)
    data = hold_out(replace(whole, train=known), ProtocolConfig(name="cold-item"), seed=1)
    assert data.cold is not None
    assert len(data.cold) == 3


def test_what_has_no_time_is_left_out_and_said() -> None:
    whole = world(1)
    at = whole.train.interactions.at.copy()
    at[:10] = 0
    some = whole.train.with_interactions(replace(whole.train.interactions, at=at))
    data = hold_out(replace(whole, train=some), ProtocolConfig(name="temporal"), seed=1)
    assert "have no time" in data.rejects[0]
    assert min(part.at.min() for part in (data.train.interactions, data.valid, data.test)) > 0


def test_only_settings_that_a_protocol_reads_are_shown() -> None:
    assert settings_of(ProtocolConfig()) == {"name": "given"}
    assert settings_of(ProtocolConfig(name="temporal", cut="user")) == {
        "name": "temporal",
        "share": 0.1,
        "cut": "user",
    }
    assert settings_of(ProtocolConfig(name="cold-user"))["shown"] == 0.8
