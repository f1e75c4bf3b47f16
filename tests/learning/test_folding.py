"""An item that is folded in has the parts that a training with it would have given it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from newcomers import alone, without
from safetensors.numpy import save_file
from tastes import TASTES, Tastes, encode_words, tastes

from kgrec.data.dataset import Dataset
from kgrec.errors import ModelError
from kgrec.learning.agent import FitContext
from kgrec.learning.fit_team import fit_team
from kgrec.learning.knowledge_features import knowledge_index
from kgrec.learning.registry import build_agent
from kgrec.learning.sentence_vectors import memoised
from kgrec.learning.team_config import TeamConfig
from kgrec.model.folding.extension import folded_team, folded_vectors, longest_vector
from kgrec.model.folding.files import load_folded, load_folding, save_folded
from kgrec.model.folding.inductive import NewItems
from kgrec.model.folding.overlay import FoldedItems, fold_items, revise_items, trained_rows
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.moments import Moments
from kgrec.model.storage import load_team, save_model
from kgrec.model.team import Team

ENCODE = memoised(encode_words)  # whose noise depends on the place in a batch
AGENTS: dict[str, dict[str, Any]] = {
    "semantic": {"steps": 20},
    "collaborative": {"embedding_dim": 8, "tau": 0.3, "schedule": {"steps": 20}},
    "sequential": {"embedding_dim": 8, "width": 8, "schedule": {"steps": 10}},
    "knowledge": {"embedding_dim": 8, "schedule": {"steps": 10}},
    "factorisation": {"factors": 8, "unobserved": 0.1, "ridge": 2.0},
}


@cache
def world() -> Tastes:
    return tastes()


def times(kernel: Kernel) -> Any:
    def multiply(columns: Any) -> Any:
        every = np.arange(kernel.num_items)
        return kernel.similarity(every, every) @ columns

    return multiply


@pytest.mark.parametrize("agent", [*AGENTS, "whitened", "averaged"])
def test_the_parts_are_those_of_a_cold_item_in_training(agent: str) -> None:
    train, cold = world().train, list(world().cold)
    further = {
        "whitened": ("semantic", {"steps": 0, "embedding_dim": 3, "whitening": 0.5}),
        "averaged": ("collaborative", {**AGENTS["collaborative"], "ensemble": 3}),
    }
    name, settings = further.get(agent, (agent, AGENTS.get(agent, {})))
    kernel = build_agent(name, settings).fit(FitContext(train, None, encode=ENCODE))
    assert kernel.inductive is not None
    assert kernel.item_factors is not None
    assert kernel.history_factors is not None
    index = knowledge_index(train)
    for row in cold:
        # The index as it was before the item came: it is none of those that hold its features.
        others = np.ones(train.num_items)
        others[row] = 0
        before = sp.csr_matrix(sp.diags_array(others) @ index.features)
        before.eliminate_zeros()
        new = NewItems(alone(train, [row]), replace(index, features=before), ENCODE)
        rows = kernel.inductive.fold(new, times(kernel))
        assert rows.history_factors is not None
        assert rows.item_factors is not None
        np.testing.assert_allclose(rows.item_factors[0], kernel.item_factors[row], atol=2e-6)
        np.testing.assert_allclose(rows.history_factors[0], kernel.history_factors[row], atol=1e-5)
        if kernel.prior is not None:
            assert rows.prior is not None
            np.testing.assert_allclose(rows.prior[0], kernel.prior[row], atol=2e-6)
        if kernel.rows is not None:
            assert rows.received is not None
            assert rows.given is not None
            for part, column in (
                (rows.received.toarray()[:, 0], kernel.rows[:, [row]].toarray()[:, 0]),
                (rows.given.toarray()[0], kernel.rows[[row]].toarray()[0]),
            ):
                part[row] = 0.0  # its likeness to itself
                np.testing.assert_allclose(part, column, atol=1e-5)
                assert np.count_nonzero(part) == 23


@pytest.mark.parametrize("form", ["dense", "low-rank"])
def test_the_regression_is_that_of_a_training_with_one_item_more(form: str) -> None:
    train, cold = world().train, list(world().cold)
    settings = {"form": form, "ridge": 5.0, "knowledge": 2.0, "row_size": 999, "rank": 999}
    base = without(train, cold)
    kernel = build_agent("linear", settings).fit(FitContext(base))
    assert kernel.inductive is not None
    index = knowledge_index(base)
    for row in cold[:4]:
        whole = without(train, [other for other in cold if other != row])
        trained = build_agent("linear", settings).fit(FitContext(whole))
        old, last = np.arange(base.num_items), np.array([base.num_items])
        rows = kernel.inductive.fold(NewItems(alone(train, [row]), index, None), times(kernel))
        assert rows.received is not None
        assert rows.given is not None
        received, given = trained.similarity(old, last)[:, 0], trained.similarity(last, old)[0]
        # Degrees of the features among the trained items are one higher in the second training.
        largest = np.abs(received).max()
        assert np.abs(rows.received.toarray()[:, 0] - received).max() < 0.03 * largest
        assert np.abs(rows.given.toarray()[0] - given).max() < 0.03 * np.abs(given).max()
        if form == "dense":
            assert np.corrcoef(rows.received.toarray()[:, 0], received)[0, 1] > 0.999


def change(data: Dataset, row: int, taste: int) -> Dataset:
    """Return the data with the facts and the text of an item of another taste."""
    other = next(n for n in range(data.num_items) if n % TASTES == taste)
    facts, texts = data.facts, list(data.item_texts)
    kept, like = facts.item != row, facts.item == other
    texts[row] = texts[other]

    def of(column: Any, new: Any) -> Any:
        return np.concatenate([column[kept], new])

    return replace(
        data,
        facts=replace(
            facts,
            item=of(facts.item, np.full(like.sum(), row)),
            relation=of(facts.relation, facts.relation[like]),
            entity=of(facts.entity, facts.entity[like]),
            confidence=of(facts.confidence, facts.confidence[like]),
        ),
        item_texts=tuple(texts),
    )


@pytest.mark.parametrize("agent", [*AGENTS, "linear", "low-rank"])
def test_a_trained_item_that_has_not_changed_keeps_its_parts(agent: str) -> None:
    forms = {"linear": "dense", "low-rank": "low-rank"}
    linear = {"form": forms.get(agent), "ridge": 5.0, "rank": 20}
    settings = linear if agent in forms else AGENTS[agent]
    train, rows = world().train, np.arange(5, 60)
    name = "linear" if agent in forms else agent
    kernel = build_agent(name, settings).fit(FitContext(train, None, encode=ENCODE))
    assert kernel.inductive is not None
    index = replace(knowledge_index(train), arriving=0)
    before = trained_rows(kernel, rows)
    changed = NewItems(alone(train, rows.tolist()), index, ENCODE)
    after = kernel.inductive.revise(changed, before, rows, times(kernel))
    for part in ("history_factors", "item_factors", "prior", "content", "received", "given"):
        one, two = getattr(before, part), getattr(after, part)
        if one is None:
            assert two is None or two.size == 0
            continue
        dense = [each.toarray() if sp.issparse(each) else each for each in (one, two)]
        np.testing.assert_allclose(dense[1], dense[0], atol=2e-5, err_msg=part)


@pytest.mark.parametrize("form", ["dense", "low-rank"])
def test_changed_facts_give_the_weights_of_a_training_with_them(form: str) -> None:
    settings = {"form": form, "ridge": 5.0, "knowledge": 2.0, "row_size": 999, "rank": 999}
    train = world().train
    kernel = build_agent("linear", settings).fit(FitContext(train))
    assert kernel.inductive is not None
    every = np.arange(train.num_items)
    for row in (5, 22, 40):
        other = change(train, row, (row + 1) % TASTES)
        again = build_agent("linear", settings).fit(FitContext(other))
        rows, index = np.array([row]), replace(knowledge_index(train), arriving=0)
        new = NewItems(alone(other, [row]), index, None)
        after = kernel.inductive.revise(new, trained_rows(kernel, rows), rows, times(kernel))
        assert after.received is not None
        assert after.given is not None
        base = [kernel.similarity(every, rows)[:, 0], kernel.similarity(rows, every)[0]]
        found = [after.received.toarray()[:, 0], after.given.toarray()[0]]
        if form == "low-rank":  # the factors stay, so the rows hold what is added to them
            assert kernel.history_factors is not None
            assert kernel.item_factors is not None
            found[0] = found[0] + kernel.history_factors @ kernel.item_factors[row]
            found[1] = found[1] + kernel.item_factors @ kernel.history_factors[row]
        wanted = [again.similarity(every, rows)[:, 0], again.similarity(rows, every)[0]]
        for was, is_now, expected in zip(base, found, wanted, strict=True):
            for vector in (was, is_now, expected):
                vector[row] = 0.0
            moved = np.abs(expected - was).max()
            assert moved > 0.005
            # Degrees of the features are those of the first training.
            assert np.abs(is_now - expected).max() < 0.06 * moved
            assert np.corrcoef(is_now - was, expected - was)[0, 1] > 0.999


def test_a_feature_that_one_trained_item_has_ties_it_to_a_new_one() -> None:
    train = world().train
    entity = len(train.entities) - 1
    facts = train.facts
    lone = replace(
        train,
        facts=replace(facts, entity=np.where(facts.item == 5, entity, facts.entity % 3)),
    )
    kernel = build_agent("linear", {"ridge": 5.0, "knowledge": 2.0}).fit(FitContext(lone))
    assert kernel.inductive is not None
    new = NewItems(alone(lone, [5], "new "), knowledge_index(lone), None)
    rows = kernel.inductive.fold(new, times(kernel))
    assert rows.received is not None
    assert int(rows.received.toarray()[:, 0].argmax()) == 5


@cache
def trained() -> Team:
    """Fit a team that does not know the cold items."""
    data = world()
    config = TeamConfig.model_validate(
        {
            "agents": ["linear", *AGENTS],
            "settings": AGENTS | {"linear": {"ridge": 5.0}},
            "coordinator": {"weights": dict.fromkeys(["linear", *AGENTS], 0.2)},
            "ranker": {"use": "never"},
        }
    )
    kept = without(data.train, list(data.cold))
    return fit_team(kept, data.valid, config, encode=ENCODE)


def folded(rows: list[int]) -> FoldedItems:
    team = trained()
    assert team.folding is not None
    new = alone(world().train, rows)
    return fold_items(team, team.folding, new, ENCODE, [f"mark {row}" for row in rows])


def histories(team: Team) -> list[Histories]:
    done = world().train.interactions
    return [
        Histories.one(items, len(team.items), at=done.at[done.user == user], now=10**6)
        for user in range(12)
        for items in [done.item[done.user == user]]
    ]


def test_new_items_reach_those_of_their_taste_and_change_no_other_score() -> None:
    team, cold = trained(), list(world().cold)
    wide = folded_team(team, folded(cold))
    assert wide.items.ids == (*team.items.ids, *(f"i{row}" for row in cold))
    count, new = len(team.items), np.arange(len(team.items), len(wide.items))
    mine = 0
    for user, (narrow, known) in enumerate(zip(histories(team), histories(wide), strict=True)):
        before, scorer = team.scorer(narrow), wide.scorer(known)
        scores = scorer.scores()
        assert scores[:count].tobytes() == before.scores().tobytes()
        assert scorer.alpha.tobytes() == before.alpha.tobytes()
        parts = scorer.contributions(new)
        np.testing.assert_allclose(parts.total, scores[new], rtol=1e-9, atol=1e-9)
        batch = wide.scores(known)[0]
        np.testing.assert_allclose(batch, scores, rtol=2e-4, atol=2e-4)
        mine += int(cold[int(scores[new].argmax())] % TASTES == user % TASTES)
    assert mine >= 11


def test_a_changed_item_follows_its_text_and_facts_and_changes_no_other_score() -> None:
    team, cold = trained(), list(world().cold)
    assert team.folding is not None
    data = without(world().train, cold)
    row = 8
    other = change(data, row, 1)
    fresh = revise_items(team, team.folding, alone(other, [row]), ENCODE, ["m"])
    wide = folded_team(team, folded(cold).and_others(fresh))
    assert wide.items.ids == (*team.items.ids, *(f"i{each}" for each in cold))
    narrow_only = folded_team(team, fresh)
    moved = []
    for user, (narrow, known) in enumerate(zip(histories(team), histories(wide), strict=True)):
        before, scorer = team.scorer(narrow), wide.scorer(known)
        scores, was = scorer.scores(), before.scores()
        moved.append((user % TASTES, scores[row] - was[row]))
        others = np.setdiff1d(np.arange(len(team.items)), [row])
        if row not in narrow.item:
            assert scores[others].tobytes() == was[others].tobytes()
            assert scorer.alpha.tobytes() == before.alpha.tobytes()
        alone_too = narrow_only.scorer(histories(narrow_only)[user]).scores()
        assert alone_too[: len(team.items)].tobytes() == scores[: len(team.items)].tobytes()
        for kernel in wide.kernels:
            spread = Moments.of(kernel, known).spreads(np.empty((1, 0), dtype=np.int64))
            np.testing.assert_allclose(spread, kernel.spread(known), rtol=1e-4)
    gain = {taste: np.mean([d for t, d in moved if t == taste]) for taste in range(TASTES)}
    assert max(gain, key=lambda taste: gain[taste]) == 1
    assert min(gain, key=lambda taste: gain[taste]) == row % TASTES


def test_vectors_for_the_index_are_in_the_space_of_the_trained_ones() -> None:
    team, cold = trained(), list(world().cold)
    new = folded(cold)
    vectors = folded_vectors(team, new, longest_vector(team))
    trained_ones, wide = team.item_vectors(), folded_team(team, new)
    assert vectors.shape == (len(cold), trained_ones.shape[1])
    np.testing.assert_allclose(np.square(trained_ones).sum(axis=1), longest_vector(team), rtol=1e-4)
    expected = wide.item_vectors()[len(team.items) :]
    np.testing.assert_allclose(vectors[:, :-1], expected[:, :-1], atol=1e-6)


def test_a_history_of_new_items_is_scored() -> None:
    team = trained()
    cold = list(world().cold)
    wide = folded_team(team, folded(cold))
    for place, row in enumerate(cold):
        item = np.array([len(team.items) + place])
        scorer = wide.scorer(Histories.one(item, len(wide.items), at=np.array([10**6]), now=10**6))
        best = np.argsort(-scorer.scores()[: len(team.items)])[:10]
        assert (best % TASTES == row % TASTES).mean() >= 0.8
        for kernel in wide.kernels:
            one = Histories.one(item, len(wide.items), at=np.array([10**6]), now=10**6)
            spread = Moments.of(kernel, one).spreads(np.empty((1, 0), dtype=np.int64))
            np.testing.assert_allclose(spread, kernel.spread(one), rtol=1e-4)


def test_items_folded_one_after_another_are_those_folded_together() -> None:
    cold = list(world().cold)
    together = folded(cold)
    one = folded(cold[:3]).and_others(folded(cold[3:]))
    assert one.ids == together.ids
    assert one.marks == together.marks
    for agent, rows in together.rows.items():
        other = one.rows[agent]
        for name in ("history_factors", "item_factors", "prior", "content"):
            part = getattr(rows, name)
            if part is not None:
                np.testing.assert_allclose(getattr(other, name), part, atol=1e-6)
        if rows.given is not None and other.given is not None:
            assert abs(rows.given - other.given).max() < 1e-6
    back = one.only([one.ids[2], one.ids[0]])
    assert back.marks == (one.marks[2], one.marks[0])


def test_what_is_folded_comes_back_from_disk(tmp_path: Path) -> None:
    team = trained()
    folder = tmp_path / save_model(team, tmp_path).model_id
    loaded, folding = load_team(folder), load_folding(folder)
    assert folding is not None
    assert loaded.folding is None
    cold = list(world().cold)
    new = alone(world().train, cold)
    again = fold_items(loaded, folding, new, ENCODE, ["m"] * len(cold))
    name = save_folded(folder, again)
    read = load_folded(folder, name)
    one, two = folded_team(team, folded(cold)), folded_team(loaded, read)
    for first, second in zip(histories(one), histories(two), strict=True):
        assert one.scorer(first).scores().tobytes() == two.scorer(second).scores().tobytes()
    assert save_folded(folder, read) == name
    for number in range(4):
        save_folded(folder, replace(read, marks=(str(number),) * len(cold)))
    assert len(list((folder / "folded").iterdir())) == 3


def test_damaged_files_are_found(tmp_path: Path) -> None:
    folder = tmp_path / save_model(trained(), tmp_path).model_id
    name = save_folded(folder, folded(list(world().cold)))
    save_file({"a|.prior": np.ones(1, dtype=np.float32)}, folder / "folded" / f"{name}.safetensors")
    with pytest.raises(ModelError, match="damaged"):
        load_folded(folder, name)
    with pytest.raises(ModelError, match="no name"):
        load_folded(folder, "../model")
    text = (folder / "folding.json").read_text()
    (folder / "folding.json").write_text(text.replace("mean_value", "mean"))
    with pytest.raises(ModelError, match="damaged"):
        load_folding(folder)


def test_a_model_of_the_format_before_cannot_fold(tmp_path: Path) -> None:
    plain = replace(trained(), folding=None)
    folder = tmp_path / save_model(plain, tmp_path).model_id
    assert load_folding(folder) is None
    with pytest.raises(ModelError, match="do not belong"):
        folded_team(plain, replace(folded([90]), rows={}))
