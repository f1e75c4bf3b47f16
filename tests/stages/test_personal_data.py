"""A user is exported whole, and erased so that no file of the home holds the id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kgrec.cli.user import app
from kgrec.config import Settings
from kgrec.errors import ConfigError, NotFoundError
from kgrec.graph import embedded, open_graph
from kgrec.graph.pages import user_pages
from kgrec.graph.setup import ensure_schema
from kgrec.graph.store import GraphStore
from kgrec.stages.personal_data import Erasure, erase_user, export_user

USER, LONGER = "person-4711@example.org", "person-4711@example.org.uk"


def files_with(home: Path, word: str) -> set[str]:
    every = (path for path in home.rglob("*") if path.is_file())
    return {path.name for path in every if word.encode() in path.read_bytes()}


def filled(store: GraphStore) -> None:
    ensure_schema(store)
    items = [{"item_id": f"i{n}", "title": f"Item {n}"} for n in range(4)]
    store.query(
        "UNWIND $items AS i MERGE (n:Item {item_id: i.item_id}) SET n.title = i.title",
        {"items": items},
        writing=True,
    )
    store.query(
        """UNWIND $users AS id MERGE (u:User {user_id: id}) SET u.age = 40
        WITH u MATCH (i:Item) MERGE (u)-[x:INTERACTED {kind: 'like'}]->(i)
        SET x.at = datetime(), x.value = 1.0""",
        {"users": [USER, LONGER, "other"]},
        writing=True,
    )
    store.query(
        "MATCH (u:User {user_id: $id}), (i:Item {item_id: 'i0'})"
        " CREATE (u)-[:RECOMMENDED {rank: 1, score: 0.5}]->(i)",
        {"id": USER},
        writing=True,
    )


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path, graph_uri=None)
    with open_graph(settings) as store:
        filled(store)
    rejects = tmp_path / "rejects" / "ingest-x.jsonl"
    rejects.parent.mkdir()
    rows = [
        {"file": "a.csv", "line": n, "value": f"{who},i9,5", "reason": "no such item"}
        for n, who in enumerate([USER, "other"])
    ]
    rejects.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "checkpoints" / "run").mkdir(parents=True)
    (tmp_path / "checkpoints" / "run" / "users.json").write_text(json.dumps([USER]), "utf-8")
    return settings


def test_an_export_holds_all_of_the_user(own: Settings) -> None:
    with open_graph(own) as store:
        found = export_user(store, USER)
        with pytest.raises(NotFoundError, match="no such user"):
            export_user(store, "nobody")
    assert found["properties"] == {"user_id": USER, "age": 40}
    assert {one["item_id"] for one in found["interactions"]} == {"i0", "i1", "i2", "i3"}
    [recommended] = found["relations"]
    assert (recommended["relation"], recommended["id"]) == ("RECOMMENDED", "i0")
    json.dumps(found)


def test_nothing_of_an_erased_user_is_left_in_the_home(own: Settings) -> None:
    assert files_with(own.home, USER)
    found = erase_user(own, USER)
    assert {place.kind for place in found.places} == {"graph", "rejected rows", "checkpoint"}
    assert found.searched
    assert found.left == ()
    assert found.files > 5
    with open_graph(own) as store:
        kept = {user for page in user_pages(store) for user in page["ids"]}
        assert kept == {LONGER, "other"}
        with pytest.raises(NotFoundError):
            export_user(store, USER)
    whole = (own.home / "rejects" / "ingest-x.jsonl").read_text(encoding="utf-8")
    assert "other" in whole
    assert USER not in whole
    with pytest.raises(NotFoundError, match="no such user"):
        erase_user(own, USER)


def test_the_log_of_a_running_database_is_named_and_ended(own: Settings) -> None:
    with open_graph(own) as store:
        store.query("MATCH (u:User {user_id: $id}) SET u.note = $id", {"id": USER}, writing=True)
        first = erase_user(own, USER)
        assert {place.kind for place in first.left} <= {"log of the graph"}
        assert erase_user(own, "other", restart_graph=True).places
        assert not any(USER.encode() in path.read_bytes() for path in own.home.rglob("*.wal"))
        assert store.read("serving/user", user_id=LONGER)
    embedded.stop(own.home, force=True)


def test_the_command_reports_where_it_looked(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGREC_HOME", str(own.home))
    monkeypatch.delenv("KGREC_GRAPH_URI", raising=False)
    to = own.home.parent / "exported.json"
    done = CliRunner().invoke(app, ["export", USER, "--out", str(to)])
    assert done.exit_code == 0
    assert json.loads(to.read_text("utf-8"))["user_id"] == USER
    left = own.home / "notes.txt"
    left.write_text(f"{USER} wrote; {LONGER} did not", encoding="utf-8")
    done = CliRunner().invoke(app, ["erase", USER, "--json"])
    found = Erasure.model_validate_json(done.stdout)
    assert done.exit_code == 1
    assert [(Path(place.path).name, place.found) for place in found.left] == [("notes.txt", 1)]
    left.unlink()
    with open_graph(own) as store:
        filled(store)
    copy = own.home.parent / "copy of the graph"
    copy.mkdir()
    (copy / "store").write_bytes(b"\0" + USER.encode() + b"\0" + LONGER.encode())
    searched = ["erase", USER, "--json", "--search", str(copy), "--search", str(to)]
    found = Erasure.model_validate_json(CliRunner().invoke(app, searched).stdout)
    assert {Path(place.path).name: place.found for place in found.left} == {
        "store": 1,
        "exported.json": 2,
    }
    done = CliRunner().invoke(app, ["erase", "other", "--search", str(copy / "nothing")])
    assert isinstance(done.exception, ConfigError)
    done = CliRunner().invoke(app, ["erase", "other"])
    assert done.exit_code == 0
    assert "were not searched" in done.stdout
