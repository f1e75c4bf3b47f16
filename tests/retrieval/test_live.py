"""Which model answers: exchanged without a wait, others by their id, two in memory at most."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import Planted, planted

from kgrec.errors import ModelError
from kgrec.graph.store import GraphStore
from kgrec.model.checkpoint import MappedFile
from kgrec.model.coordinator import Coordinator
from kgrec.model.storage import load_team, save_model
from kgrec.model.team import Team
from kgrec.retrieval.live import LiveModels
from kgrec.stages.publish import publish


@pytest.fixture
def there(empty_store: GraphStore, tmp_path: Path) -> Iterator[Planted]:
    return planted(empty_store, tmp_path, users=12, items=40, each=6)


def variant(team: Team, share: float) -> Team:
    return replace(team, coordinator=Coordinator([share, 1.0 - share]))


def test_requests_go_on_with_the_old_model_until_the_new_one_is_ready(
    there: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveModels(there.store, there.models)
    first = live.current()
    other = variant(there.team, 0.9)
    model_id = save_model(other, there.models).model_id
    loading, go_on = threading.Event(), threading.Event()

    def slow(folder: Path, weights: MappedFile) -> Team:
        loading.set()
        assert go_on.wait(30)
        return load_team(folder, weights)

    monkeypatch.setattr("kgrec.retrieval.live.load_team", slow)
    publish(there.store, other, model_id)
    with ThreadPoolExecutor(1) as pool:
        exchange = pool.submit(live.current)
        assert loading.wait(30)
        assert live.current() is first  # at once: nothing waits for the load
        go_on.set()
        second = exchange.result(30)
    assert second.model_id == model_id
    assert live.current() is second
    assert second.record.shares == other.weights


def test_the_first_load_is_waited_for_and_done_once(
    there: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    def counted(folder: Path, weights: MappedFile) -> Team:
        loads.append(folder)
        return load_team(folder, weights)

    monkeypatch.setattr("kgrec.retrieval.live.load_team", counted)
    live = LiveModels(there.store, there.models)
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: live.current(), range(12)))
    assert len({id(one) for one in found}) == 1
    assert len(loads) == 1


def test_models_are_found_by_their_id_and_two_stay_in_memory(there: Planted) -> None:
    live = LiveModels(there.store, there.models)
    ids = [save_model(variant(there.team, n / 10), there.models).model_id for n in (1, 2, 3)]
    current = live.current()
    held = [weakref.ref(live.get(model_id)) for model_id in ids]
    assert live.get(current.model_id) is current
    assert (live.get(ids[2]).slot, live.get(ids[2]).index) == (None, None)
    gc.collect()
    assert [ref() is not None for ref in held] == [False, False, True]
    for nobody in ("movies-000000000000", "../models/first", "..", ".", ""):
        with pytest.raises(ModelError, match="not on this machine"):
            live.get(nobody)


def test_a_model_that_goes_live_again_is_not_loaded_again(there: Planted) -> None:
    live = LiveModels(there.store, there.models)
    first = live.current()
    other = variant(there.team, 0.9)
    model_id = save_model(other, there.models).model_id
    publish(there.store, other, model_id)
    assert live.current().model_id == model_id
    publish(there.store, there.team, there.model_id)
    assert live.current() is first


def test_weights_written_under_a_running_server_are_not_served(there: Planted) -> None:
    live = LiveModels(there.store, there.models)
    first = live.current()
    assert live.current() is first
    path = there.models / there.model_id / "model.safetensors"
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(len(whole) - 64)
        file.write(b"\xff" * 64)
    for _ in range(2):
        with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
            live.current()
    path.write_bytes(whole)
    assert live.current().record == first.record


def test_a_model_whose_folder_is_gone_stays_in_service(there: Planted) -> None:
    live = LiveModels(there.store, there.models)
    first = live.current()
    before = first.team.item_vectors()
    shutil.rmtree(there.models / there.model_id)
    assert live.current() is first
    assert np.array_equal(first.team.item_vectors(), before)
