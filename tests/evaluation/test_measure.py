"""Measurements of a team under protocols, in a catalogue whose tastes are planted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tastes import tastes, write_folder

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import FloatArray, Interactions
from kgrec.data.protocols import Cut, ProtocolConfig, hold_out
from kgrec.errors import ConfigError
from kgrec.evaluation.ablation import Knowledge, audited
from kgrec.evaluation.evaluate import EvaluateConfig, evaluate
from kgrec.evaluation.measure import HeldOutQueries, Measurement, measure
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.validation import Validation
from kgrec.model.histories import Histories

STEPS = {"steps": 40, "check_from": 40, "curve": "step"}
QUICK = {"tau": 0.3, "embedding_dim": 16, "schedule": STEPS}


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
    return measure(team, HeldOutQueries(data, "train", (5,)))


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
    gains = []
    for seed in (1, 2, 3):  # twenty users each
        data = hold_out(whole(), ProtocolConfig(name="cold-user"), seed=seed)
        blind = replace(data, test_given=Interactions.empty())
        shown, unseen = (measured(each).ranking.at[5]["recall"].mean for each in (data, blind))
        gains.append(shown - unseen)
    assert float(np.mean(gains)) > 0.06


def test_what_is_known_and_what_is_seen() -> None:
    data = hold_out(whole(), ProtocolConfig(name="warm"), seed=1)
    alone, both = HeldOutQueries(data, "train", (5,)), HeldOutQueries(data, "train+valid", (5,))
    learned = len(data.train.interactions)
    assert (len(alone.known), len(both.known)) == (learned, learned + len(data.valid))
    assert len(alone.seen) == len(both.seen) == learned + len(data.valid)


def test_items_of_the_validation_part_are_ranked_where_the_mask_leaves_them() -> None:
    data = hold_out(whole(), ProtocolConfig(name="warm"), seed=1)
    usual, open_ = HeldOutQueries(data, "train", (5,)), HeldOutQueries(data, ks=(5,), mask="train")
    assert len(usual.seen) == len(open_.seen) + len(data.valid)

    class Oracle:
        """Puts the items of the validation part first."""

        def scores(self, histories: Histories) -> FloatArray:
            valid = data.valid.matrix(*data.train.matrix().shape)
            return np.asarray(valid[usual.targets.users].toarray(), dtype=np.float32)

    lists = measure(Oracle(), open_).lists
    held = data.valid.matrix(*data.train.matrix().shape)[lists.users]
    first = np.asarray(held[np.arange(len(lists.users)), lists.items[:, 0]]).ravel()
    assert (first[np.diff(held.indptr) > 0] == 1).all()
    masked = measure(Oracle(), usual).lists
    assert not np.asarray(held[np.arange(len(masked.users)), masked.items[:, 0]]).any()
    with pytest.raises(ConfigError, match="in the histories and ranked"):
        HeldOutQueries(data, "train+valid", mask="train")


class Witness:
    """Ranks by chance and keeps the histories that it was asked with."""

    def __init__(self) -> None:
        self.met: list[Histories] = []

    def scores(self, histories: Histories) -> FloatArray:
        self.met.append(histories)
        return np.random.default_rng(len(self.met)).random(histories.shape).astype(np.float32)


@pytest.mark.parametrize("cut", ["global", "user"])
def test_a_ranker_is_told_when_it_is_asked_and_nothing_of_what_for(cut: Cut) -> None:
    data = hold_out(whole(), ProtocolConfig(name="temporal", cut=cut), seed=1)
    other = replace(data.test, item=(data.test.item + 7) % data.train.num_items)
    met = []
    for test in (data.test, other):
        witness = Witness()
        found = measure(witness, HeldOutQueries(replace(data, test=test), "train", (5,)))
        [histories] = witness.met
        first = [test.at[test.user == user].min() for user in found.lists.users]
        assert histories.now.tolist() == first
        assert (histories.at < histories.now[histories.owner]).all()
        met.append(dict(zip(found.lists.users.tolist(), first, strict=True)))
    shared = met[0].keys() & met[1].keys()
    assert len(shared) > 10
    assert all(met[0][user] == met[1][user] for user in shared)


def test_choices_are_made_with_the_time_of_the_request_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the fit nor a variant of an ablation chooses as if nobody knew when it is asked."""
    write_folder(tastes(), tmp_path)
    data, rows = whole().train, whole().train.interactions
    lines = [
        f"{data.users.id(user)}\t{data.items.id(item)}\t{at + 1}"
        for user, item, at in zip(rows.user, rows.item, rows.at, strict=True)
    ]
    head = "user_id:token\titem_id:token\ttimestamp:float"
    (tmp_path / "p.inter").write_text("\n".join([head, *lines]) + "\n")
    asked = []

    class Recorded(Validation):
        def __init__(self, train: Histories, held_out: Interactions, *more: Any, **rest: Any):
            super().__init__(train, held_out, *more, **rest)
            first = held_out.first_times(len(train))[self.users]
            asked.append((self.histories.now.tolist(), first.tolist()))

    monkeypatch.setattr("kgrec.learning.agent.Validation", Recorded)
    protocol = ProtocolConfig(name="temporal", cut="user")
    team = TeamConfig(agents=("linear",))
    result = evaluate(EvaluateConfig(folder=tmp_path, protocol=protocol, team=team, ablate=True))
    assert result.ablation is not None
    assert len(asked) >= len(result.ablation.rows) > 1
    for told, first in asked:
        assert told == first
        assert min(told) > 0


@pytest.mark.parametrize("protocol", ["warm", "cold-user"])
def test_the_values_of_users_are_those_of_the_report(protocol: str) -> None:
    data = hold_out(whole(), ProtocolConfig.model_validate({"name": protocol}), seed=1)
    found = measured(data, agent="linear")
    for name, values in found.values[5].items():
        assert values.mean() == pytest.approx(found.ranking.at[5][name].mean)
        assert len(values) == len(found.lists.users) == found.ranking.users
