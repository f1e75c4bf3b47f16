"""Models on disk and in the graph: one record for all who tell of them, prune, rollback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from planted import plant, train

from kgrec.config import Settings
from kgrec.errors import ModelError, NotFoundError
from kgrec.graph.store import GraphStore
from kgrec.model.coordinator import Coordinator
from kgrec.model.record import read_record
from kgrec.model.storage import save_model
from kgrec.model.team import Team
from kgrec.retrieval.live import LiveModels
from kgrec.serving.app import create_app
from kgrec.stages.models import list_models, prune_models, roll_back
from kgrec.stages.publish import publish, published_models

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def models(home: Path, empty_store: GraphStore) -> Path:
    """The folder of models, empty, beside a planted graph."""
    folder = home / "models"
    for path in folder.glob("*"):
        shutil.rmtree(path)
    plant(empty_store, users=12, items=40, each=6)
    return folder


@pytest.fixture
def teams(models: Path, empty_store: GraphStore) -> list[Team]:
    team = train(empty_store)[1]
    metrics = {
        "objective": {"metric": "ndcg", "k": 20},
        "validation": {"team": 0.25},
        "failed": {"semantic": "the text encoder failed"},
        "notes": {"linear": {"rows": 40}},
    }
    return [
        replace(team, coordinator=Coordinator([share, 1 - share]), metrics=metrics)
        for share in (0.1, 0.2, 0.3, 0.4)
    ]


def into_service(store: GraphStore, models: Path, team: Team) -> str:
    model_id = save_model(team, models).model_id
    publish(store, team, model_id)
    return model_id


def live(store: GraphStore) -> str:
    return LiveModels(store, Path("models")).named()[0]


def test_all_who_tell_of_a_model_tell_what_its_record_holds(
    empty_store: GraphStore, models: Path, teams: list[Team], settings: Settings, command: Command
) -> None:
    model_id = into_service(empty_store, models, teams[0])
    record = read_record(models / model_id)
    (entry,) = list_models(empty_store, models)
    assert entry.record == record
    shown = json.loads(command("models", "show", "--json")[1])["record"]
    assert shown == record.model_dump(mode="json")
    (node,) = published_models(empty_store)
    assert json.loads(node.metrics or "") == record.metrics
    assert json.loads(node.shares or "") == record.shares
    assert json.loads(node.settings or "") == record.settings
    with TestClient(create_app(settings), "http://127.0.0.1", client=("127.0.0.1", 5)) as client:
        answer = client.get("/v1/model").json()
    assert (answer["model_id"], answer["agents"]) == (model_id, record.shares)
    assert (answer["metrics"], answer["failed"]) == (record.metrics, record.failed)
    assert record.failed == {"semantic": "the text encoder failed"}
    # What is measured anew for the same content is told anew, in the graph too.
    again = replace(teams[0], metrics={"validation": {"team": 0.5}})
    assert into_service(empty_store, models, again) == model_id
    (node,) = published_models(empty_store)
    assert json.loads(node.metrics or "") == read_record(models / model_id).metrics


def test_rollback_is_one_transaction_while_the_graph_holds_the_model_before(
    empty_store: GraphStore, models: Path, teams: list[Team]
) -> None:
    with pytest.raises(NotFoundError, match="no model was live before"):
        roll_back(empty_store, models)
    one = into_service(empty_store, models, teams[0])
    with pytest.raises(NotFoundError, match="no model was live before"):
        roll_back(empty_store, models)
    two = into_service(empty_store, models, teams[1])
    back = roll_back(empty_store, models)
    assert (back.model_id, back.instant, live(empty_store)) == (one, True, one)
    assert roll_back(empty_store, models).model_id == two
    with pytest.raises(ModelError, match="not on this machine"):
        roll_back(empty_store, models.parent / "elsewhere")


def test_rollback_writes_what_is_no_longer_in_the_graph(
    empty_store: GraphStore, models: Path, teams: list[Team]
) -> None:
    one = into_service(empty_store, models, teams[0])
    into_service(empty_store, models, teams[1])
    # A publish that was begun took the slot of the first, and was then broken off.
    claim = {"model_id": "other", "slot": "vector_a"}
    empty_store.write("publish/claim_slot", **claim)
    empty_store.write("publish/upsert_model", **claim, metrics="{}", created_at=None)
    empty_store.write("publish/clear_vectors", {"slot": "vector_a"}, items=["p0000"])
    back = roll_back(empty_store, models)
    assert (back.model_id, back.instant, back.items) == (one, False, 40)
    assert live(empty_store) == one


def test_prune_keeps_what_is_needed_and_the_newest(
    empty_store: GraphStore, models: Path, teams: list[Team]
) -> None:
    ids = [into_service(empty_store, models, team) for team in teams]
    tried = prune_models(empty_store, models, 0, dry_run=True)
    assert (sorted(tried.removed), tried.done) == (sorted(ids[:2]), False)
    assert tried.size > 0
    assert all((models / name).is_dir() for name in ids)
    assert prune_models(empty_store, models, 3).removed == (ids[0],)
    assert prune_models(empty_store, models, 0).removed == (ids[1],)
    assert sorted(path.name for path in models.iterdir()) == sorted(ids[2:])
    assert {m.model_id for m in published_models(empty_store)} == set(ids[2:])
    assert roll_back(empty_store, models).model_id == ids[2]
    assert prune_models(empty_store, models, 0).removed == ()


def test_the_commands(
    empty_store: GraphStore, models: Path, teams: list[Team], command: Command
) -> None:
    assert command("models", "rollback")[0] == 4
    assert "kgrec train" in command("models", "list")[1]
    ids = [into_service(empty_store, models, team) for team in teams[:3]]
    listed = {
        entry["model_id"]: entry for entry in json.loads(command("models", "list", "--json")[1])
    }
    assert [listed[name]["live"] for name in ids] == [False, False, True]
    assert listed[ids[1]]["previous"]
    assert listed[ids[0]]["metric"] == {"name": "ndcg@20", "value": 0.25}
    code, text, _ = command("models", "show", ids[0], "--verify")
    assert code == 0
    for word in (
        "every byte checked",
        "semantic: the text encoder failed",
        "ndcg@20 0.2500",
        "key",
    ):
        assert word in text
    code, text, _ = command("models", "rollback", "--json")
    assert (code, json.loads(text)["instant"], live(empty_store)) == (0, True, ids[1])
    assert command("models", "prune", "--keep", "0", "--dry-run")[1].count("would be removed") == 1
    assert json.loads(command("models", "prune", "--keep", "0", "--json")[1])["removed"] == [ids[0]]
    assert command("models", "show", ids[0])[0] == 4
    weights = models / ids[1] / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert command("models", "show", ids[1])[0] == 0
    code, _, error = command("models", "show", "--verify")
    assert code == 5
    assert "not those of the model" in error
