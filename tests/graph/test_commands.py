"""`kgrec graph`, as a person types it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kgrec.cli import main
from kgrec.cli.graph import statements_of
from kgrec.graph import embedded
from kgrec.graph.home import GraphHome
from kgrec.graph.setup import clear_graph
from kgrec.graph.store import GraphStore

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `kgrec graph …` on the shared home; returns exit code, output and errors."""
    for name in ("KGREC_GRAPH_URI", "KGREC_GRAPH_USER", "KGREC_GRAPH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KGREC_HOME", str(home))

    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["graph", *args])
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return call


def test_status_counts_what_the_graph_holds(empty_store: GraphStore, run: Run) -> None:
    empty_store.query("CREATE (:Item:Movie {item_id: 'i'})", writing=True)
    code, text, _ = run("status", "--json")
    state = json.loads(text)
    assert code == 0
    assert state["running"]
    assert state["nodes"] == {"Item": 1, "Movie": 1}
    assert "Item 1, Movie 1" in run("status")[1]


def test_the_shell_shows_a_table(store: GraphStore, run: Run) -> None:
    code, text, _ = run("shell", "UNWIND ['[b]a', 'c'] AS x RETURN x, [x] AS list", "--limit", "1")
    assert code == 0
    assert "[b]a" in text
    assert '["[b]a"]' in text
    assert "more rows than 1" in text
    assert "No rows." in run("shell", "MATCH (n:User {user_id: 'nobody'}) RETURN n")[1]


def test_the_shell_reads_standard_input(
    store: GraphStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("RETURN ';' AS a;\nRETURN 2 AS b\n"))
    code, text, _ = run("shell", "--json")
    assert code == 0
    assert [one["rows"] for one in json.loads(text)] == [[{"a": ";"}], [{"b": 2}]]


def test_the_shell_writes_only_when_told_to(empty_store: GraphStore, run: Run) -> None:
    statement = "CREATE (i:Item {item_id: 'i'}) RETURN i.item_id AS id"
    code, _, error = run("shell", statement)
    assert code == 6
    assert "--write" in error
    code, text, _ = run("shell", statement, "--write", "--json")
    assert code == 0
    assert json.loads(text)["rows"] == [{"id": "i"}]
    assert run("status", "--json")[1].count('"Item": 1') == 1


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("shell", "RETUR 1"), 6, "SyntaxError"),
        (("shell", " ; "), 2, "no statement"),
        (("shell", "UNWIND range(1,1000000) AS x UNWIND range(1,1000) AS y RETURN sum(x*y)",
          "--timeout", "0.2"), 6, "longer than 0.2 seconds"),
    ],
)  # fmt: skip
def test_a_statement_that_fails_says_why(
    store: GraphStore, run: Run, args: tuple[str, ...], code: int, said: str
) -> None:
    left, text, error = run(*args)
    assert (left, text) == (code, "")
    assert said in error
    assert "Traceback" not in error


def test_reset_does_not_touch_a_graph_in_use(store: GraphStore, run: Run) -> None:
    code, _, error = run("reset", "--yes")
    assert code == 6
    assert "in use" in error
    assert store.read("admin/labels") is not None


def test_a_graph_is_started_reset_and_stopped(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGREC_HOME", str(tmp_path))
    assert json.loads(run("status", "--json")[1])["running"] is False
    code, text, _ = run("start", "--json")
    assert code == 0
    address = json.loads(text)["uri"]
    assert address.startswith("bolt://127.0.0.1:")
    assert json.loads(run("status", "--json")[1])["kept"]
    code, text, _ = run("reset", "--yes")
    assert code == 0
    assert f"{address} is stopped" in text
    left = GraphHome.below(tmp_path).root.iterdir()
    assert all(path.suffix in (".lock", ".turn") for path in left)
    assert embedded.running(tmp_path) is None
    code, text, _ = run("reset", "--yes", "--json")
    assert (code, json.loads(text)["stopped"]) == (0, None)
    assert json.loads(run("stop", "--json")[1]) == {"stopped": True}


def test_another_server_is_not_ours_to_start(
    run: Run, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("KGREC_GRAPH_URI", f"bolt://127.0.0.1:{closed_port}")
    for command in ("start", "stop"):
        code, _, error = run(command)
        assert code == 2
        assert "KGREC_GRAPH_URI" in error
    code, _, error = run("status")
    assert code == 6
    assert "no graph database answers" in error


def test_an_address_of_no_use_is_wrong_use(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("localhost:7687", "http://localhost:7474", "bolt://host:port"):
        monkeypatch.setenv("KGREC_GRAPH_URI", address)
        code, _, error = run("status")
        assert code == 2
        assert address in error


@pytest.mark.parametrize(
    "address",
    ["bolt://neo4j:s3c@r/et@127.0.0.1:{port}", "neo4j:s3c@r/et@host", "http://s3c@r/et@host"],
)
def test_a_password_in_the_address_is_not_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, closed_port: int, address: str
) -> None:
    monkeypatch.setenv("KGREC_GRAPH_URI", address.format(port=closed_port))
    for command in (["status"], ["reset", "--yes"], ["start"], ["shell", "RETURN 1"]):
        code, text, error = run(*command)
        assert code == 2
        assert "s3c" not in text + error
        assert "r/et" not in text + error
        assert "***@" in error
    assert "KGREC_GRAPH_PASSWORD" in run("status")[2]


def test_statements_end_at_semicolons_that_end_a_line() -> None:
    assert statements_of("RETURN ';' AS a;\n\nRETURN 2;  ") == ["RETURN ';' AS a", "RETURN 2"]


def test_a_graph_is_exported_and_imported(
    empty_store: GraphStore, run: Run, tmp_path: Path
) -> None:
    empty_store.query("CREATE (:Item:Movie {item_id: 'i'})", writing=True)
    path = str(tmp_path / "graph.zip")
    code, text, _ = run("export", path, "--json")
    done = json.loads(text)
    assert (code, done["nodes"]["Item"], done["relations"]) == (0, 1, {})
    code, _, problem = run("import", path)
    assert code == 2
    assert "--replace" in problem
    code, text, _ = run("import", path, "--replace", "--json")
    found = json.loads(text)
    assert (code, found["content"], found["live_model"]) == (0, done["content"], None)
    assert "1 nodes, 0 relations" in run("import", path, "--replace")[1]
    assert run("import", str(tmp_path / "nothing"))[0] == 3
    empty_store.write("dump/set_import_state", name="import", done=5, dump="abc")
    assert "5 rows of dump abc" in run("status")[1]
    assert "unfinished_import" in json.loads(run("status", "--json")[1])
    clear_graph(empty_store)
    assert "unfinished" not in run("status")[1]
