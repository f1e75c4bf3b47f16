"""Measurements of a team under protocols, in a catalogue whose tastes are planted."""

from __future__ import annotations

import pytest
from tastes import tastes

from kgrec.agents.fit import TeamConfig, fit_team
from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Interactions
from kgrec.data.protocols import ProtocolConfig, hold_out
from kgrec.evaluation.audit import Knowledge, audited
from kgrec.stages.measure import Asked, Measurement, measure

QUICK = {"tau": 0.3, "embedding_dim": 16, "schedule": {"steps": 40, "check_from": 40}}


def whole() -> SplitDataset:
    world = tastes(items=240, users=200)
    train = world.train.with_interactions(world.train.interactions.concat(world.valid, world.test))
    return SplitDataset("tastes", train, Interactions.empty(), Interactions.empty())


def measured(
    data: SplitDataset, knowledge: Knowledge = "full", agent: str = "collaborative"
) -> Measurement:
    config = TeamConfig(agents=(agent,), settings={"collaborative": QUICK})
    train = audited(data.train, knowledge, seed=1)
    team = fit_team(train, data.valid, config, given=data.valid_given)
    return measure(team, Asked(data, "train", (5,)))


def test_cold_items_are_found_by_what_is_known_of_them() -> None:
    data = hold_out(whole(), ProtocolConfig(name="cold-item"), seed=1)
    found = {knowledge: measured(data, knowledge).among_cold for knowledge in ("full", "none")}
    assert data.cold is not None
    for report in found.values():
        assert report is not None
        assert report.items == len(data.cold)
    full, none = (report.at[5]["recall"].mean for report in found.values() if report)
    assert full > none + 0.2


def test_users_of_whom_nothing_was_learned_are_served_from_what_they_show() -> None:
    data = hold_out(whole(), ProtocolConfig(name="cold-user"), seed=1)
    shown = measured(data).ranking.at[5]["recall"].mean
    blind = SplitDataset(data.name, data.train, data.valid, data.test, valid_given=data.valid_given)
    assert shown > measured(blind).ranking.at[5]["recall"].mean + 0.1


def test_what_is_known_and_what_is_seen() -> None:
    data = hold_out(whole(), ProtocolConfig(name="warm"), seed=1)
    alone, both = Asked(data, "train", (5,)), Asked(data, "train+valid", (5,))
    learned = len(data.train.interactions)
    assert (len(alone.known), len(both.known)) == (learned, learned + len(data.valid))
    assert len(alone.seen) == len(both.seen) == learned + len(data.valid)


@pytest.mark.parametrize("protocol", ["warm", "cold-user"])
def test_the_values_of_users_are_those_of_the_report(protocol: str) -> None:
    data = hold_out(whole(), ProtocolConfig.model_validate({"name": protocol}), seed=1)
    found = measured(data, agent="linear")
    for name, values in found.values[5].items():
        assert values.mean() == pytest.approx(found.ranking.at[5][name].mean)
        assert len(values) == len(found.lists.users) == found.ranking.users
