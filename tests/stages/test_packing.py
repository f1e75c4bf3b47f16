"""Models in fewer bytes: what is stored is what is scored, everywhere the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import Planted, planted, user_id

from kgrec.errors import ConfigError, ModelError
from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.packed import PackedRows, Precision, pack_rows, strongest
from kgrec.model.record import read_record
from kgrec.model.storage import load_team, map_weights, save_model, team_id
from kgrec.model.summed_history import SummedHistory
from kgrec.retrieval.batch import recommend_all
from kgrec.retrieval.recommender import Recommender
from kgrec.stages.packing import Packing, pack, pack_kernel
from kgrec.stages.publish import publish

Command = Callable[..., tuple[int, str, str]]
PRECISIONS: tuple[Precision, ...] = ("float16", "int8")


def random_kernel(seed: int, size: int = 30, width: int = 7) -> Kernel:
    rng = np.random.default_rng(seed)
    rows = sp.random(size, size, 0.4, format="csr", random_state=seed, dtype=np.float32)
    rows.data[:] = rng.normal(size=rows.nnz)
    for start, end in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):  # in any order
        order = start + rng.permutation(end - start)
        rows.indices[start:end], rows.data[start:end] = rows.indices[order], rows.data[order]
    rows.has_sorted_indices = False
    factors = rng.normal(size=(2, size, width)) * rng.exponential(size=(2, size, 1))
    left, right = factors.astype(np.float32)
    prior = rng.normal(size=size).astype(np.float32)
    return Kernel("a", left, right, rows, prior, history_power=0.5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(PRECISIONS))
def test_no_number_moves_by_more_than_half_a_step(seed: int, precision: Precision) -> None:
    kernel, untouched = random_kernel(seed), random_kernel(seed)
    packed = pack_kernel(kernel, Packing(precision=precision))
    assert np.array_equal(kernel.rows.toarray(), untouched.rows.toarray())  # type: ignore[union-attr]
    for one, other in (
        (kernel.history_factors, packed.history_factors),
        (kernel.item_factors, packed.item_factors),
        (kernel.rows.toarray(), packed.rows.toarray()),  # type: ignore[union-attr]
    ):
        before, after = np.asarray(one), np.asarray(other)
        step = np.abs(before).max(axis=1, keepdims=True) / 127
        if precision == "float16":
            step = np.abs(before) * 2.0**-10 + 2.0**-23
        assert (np.abs(before - after) <= step * 0.501 + 1e-12).all()
    assert isinstance(packed.item_factors, PackedRows)
    assert packed.item_factors.nbytes <= kernel.item_factors.nbytes / 2 + 120  # type: ignore[union-attr]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(PRECISIONS))
def test_scores_are_those_of_the_unpacked_numbers(seed: int, precision: Precision) -> None:
    packed = pack_kernel(random_kernel(seed), Packing(precision=precision))
    plain = replace(
        packed,
        history_factors=np.asarray(packed.history_factors),
        item_factors=np.asarray(packed.item_factors),
        rows=sp.csr_matrix(packed.rows),
    )
    rng = np.random.default_rng(seed)
    history = Histories.one(np.sort(rng.choice(30, 6, replace=False)), 30)
    weights, some = packed.weights(history), rng.permutation(30)[:11]
    whole = SummedHistory.of(packed, history.item, weights).scores()
    assert np.array_equal(whole, SummedHistory.of(plain, history.item, weights).scores())
    assert np.array_equal(whole[some], SummedHistory.of(packed, history.item, weights).scores(some))
    assert np.array_equal(packed.scores(history), plain.scores(history))
    assert np.array_equal(packed.spread(history), plain.spread(history))
    assert np.array_equal(
        packed.similarity(history.item, some), plain.similarity(history.item, some)
    )


def test_the_strongest_weights_of_each_row_are_kept() -> None:
    rows = random_kernel(3).rows
    assert rows is not None
    kept = strongest(rows, 4)
    assert np.diff(kept.indptr).max() == 4
    for row in range(rows.shape[0]):
        sizes = np.sort(np.abs(rows[row].data))[::-1][:4]
        assert np.array_equal(np.sort(np.abs(kept[row].data))[::-1], sizes)
    assert (strongest(rows, 1000) != rows).nnz == 0
    assert strongest(sp.csr_matrix((5, 5), dtype=np.float32), 2).nnz == 0


def test_weights_that_are_too_small_for_a_step_are_left_out() -> None:
    dense = np.array([[1.0, 0.001, 0.0], [0.0, 0.0, 0.0], [0.5, -0.5, 0.002]], np.float32)
    packed = pack_rows(sp.csr_matrix(dense), "int8")
    assert packed.nnz == 4
    assert packed.toarray()[2, 2] == pytest.approx(0.002, abs=0.5 / 127)
    assert packed.toarray()[0, 1] == 0.0


def test_what_does_not_fit_is_refused() -> None:
    kernel = random_kernel(1)
    large = replace(kernel, item_factors=np.asarray(kernel.item_factors) * 1e6)
    with pytest.raises(ModelError, match="too large for float16"):
        pack_kernel(large, Packing(precision="float16"))
    pack_kernel(large, Packing(precision="int8"))
    packed = pack_kernel(kernel, Packing(precision="int8"))
    with pytest.raises(ModelError, match="packed already"):
        pack_kernel(packed, Packing(precision="float16"))


@pytest.fixture
def there(empty_store: GraphStore, tmp_path: Path) -> Planted:
    return planted(empty_store, tmp_path, users=20, items=60, each=8)


@pytest.mark.parametrize(
    "packing", [("float16", None), ("int8", None), ("float32", 5), ("int8", 5)]
)
def test_a_packed_model_is_a_model_of_its_own(
    there: Planted, packing: tuple[Precision, int | None]
) -> None:
    chosen = Packing(precision=packing[0], prune=packing[1])
    done = pack(there.store, there.models, there.model_id, chosen)
    folder = there.models / done.model_id
    assert done.model_id != team_id(there.team)
    assert (there.models / there.model_id).is_dir()
    record = read_record(folder)
    assert record.model_id == done.model_id == team_id(load_team(folder))
    assert record.settings["packing"]["of"] == there.model_id
    mapped = load_team(folder, map_weights(folder))
    assert save_model(mapped, there.models).model_id == done.model_id
    assert done.after.file < done.before.file
    assert done.after.memory < done.before.memory
    assert done.users > 5
    assert abs(done.after.metric - done.before.metric) < 0.1
    assert 0.5 < done.same <= 1.0
    assert pack(there.store, there.models, there.model_id, chosen) == done


@pytest.mark.parametrize("precision", PRECISIONS)
def test_lists_explanations_and_batches_agree_to_the_last_bit(
    there: Planted, precision: Precision
) -> None:
    packing = Packing(precision=precision, prune=20)
    done = pack(there.store, there.models, there.model_id, packing)
    publish(there.store, load_team(there.models / done.model_id), done.model_id)
    recommender = Recommender(there.store, there.models)
    explainer = Explainer(recommender)
    live = recommender.live.current()
    batch = {
        each.user_id: dict(zip(live.team.items.take(each.rows), each.scores, strict=True))
        for each in recommend_all(there.store, live, 5)
    }
    for number in range(4):
        answer = recommender.recommend(user_id(number), 5)
        assert answer.model_id == done.model_id
        for item in answer.items:
            explanation = explainer.explain(user_id(number), item.item_id)
            assert explanation.score == item.score == batch[user_id(number)][item.item_id]
            parts = [event.contribution for event in explanation.history]
            priors = [agent.prior for agent in explanation.agents]
            assert sum(parts) + sum(priors) == pytest.approx(item.score, abs=1e-12)


def test_nothing_to_pack_is_an_error(there: Planted) -> None:
    with pytest.raises(ConfigError, match="without pruning"):
        pack(there.store, there.models, there.model_id, Packing())


def test_the_command_packs_publishes_and_goes_back(
    empty_store: GraphStore, home: Path, command: Command
) -> None:
    live = planted(empty_store, home / "models", users=20, items=60, each=8)
    code, out, err = command("publish", "first", "--precision", "int8", "--prune", "5", "--json")
    assert code == 0, err
    done = json.loads(out)
    assert done["model_id"] == done["packed"]["model_id"]
    assert done["packed"]["of"] == live.model_id
    assert done["packed"]["after"]["file"] < done["packed"]["before"]["file"]
    code, out, _ = command("publish", "first", "--precision", "float16")
    assert code == 0
    for word in ("file", "memory", "ndcg@20", "validation part", "is live"):
        assert word in out
    code, _, err = command("publish", done["model_id"], "--precision", "int8")
    assert code == 5
    assert "packed already" in err
