"""The embedded server: shared, ended by its last user, and nothing lost when it is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kgrec.config import Settings
from kgrec.errors import ConfigError, GraphAuthError, GraphUnavailableError
from kgrec.graph import embedded, open_graph, processes
from kgrec.graph import http as arcade
from kgrec.graph.address import Address, Login
from kgrec.graph.home import GraphHome, ServerState
from kgrec.graph.launch import ServerConfig, root_argument
from kgrec.graph.processes import exclusive, is_alive
from kgrec.graph.setup import ensure_schema
from kgrec.graph.store import GraphStore, StoreConfig
from kgrec.graph.supervisor import Supervisor

HOLD = """
import sys, time
from pathlib import Path
from kgrec.config import Settings
from kgrec.graph import open_graph
with open_graph(Settings(home=Path(sys.argv[1]), graph_uri=None)) as store:
    print("open", flush=True)
    time.sleep(600)
"""
WRITE = """
import sys
from pathlib import Path
from kgrec.config import Settings
from kgrec.graph import open_graph
with open_graph(Settings(home=Path(sys.argv[1]), graph_uri=None)) as store:
    for n in range(100_000):
        store.write("publish/upsert_model", model_id=str(n), slot="a", metrics="", created_at=None)
        print(n, flush=True)
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A home for one test, with no server left behind."""
    yield tmp_path
    embedded.stop(tmp_path, force=True)


@pytest.fixture
def hanging() -> Iterator[Address]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        yield Address("", "neo4j", Login("root", "x"), http_uri=f"http://127.0.0.1:{port}")


def opened(home: Path) -> Settings:
    return Settings(home=home, graph_uri=None)


def state_of(home: Path) -> ServerState:
    state = embedded.running(home)
    assert state is not None
    return state


def password_of(home: Path) -> str:
    return GraphHome.below(home).password()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_client(script: str, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, text=True
    )


def kgrec(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {key: one for key, one in os.environ.items() if not key.startswith("KGREC_")}
    return subprocess.run(
        [sys.executable, "-c", "from kgrec.cli import main; main()", *args],
        env={**environment, "KGREC_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


def put(store: GraphStore, *keys: str) -> None:
    for key in keys:
        store.write("publish/upsert_model", model_id=key, slot="a", metrics="", created_at=None)


def keys_of(store: GraphStore) -> list[str]:
    return sorted(row["model_id"] for row in store.read("publish/models"))


def test_two_users_share_a_server_and_the_last_ends_it(own: Path) -> None:
    with open_graph(opened(own)) as first:
        state = state_of(own)
        with open_graph(opened(own)) as second:
            assert state_of(own) == state
            put(second, "m")
        assert keys_of(first) == ["m"]
        answer = kgrec(own, "graph", "status", "--json")
        assert json.loads(answer.stdout)["nodes"] == {"Model": 1}
        assert is_alive(state.pid)
        assert embedded.in_use(own)
    assert not is_alive(state.pid)
    assert not is_alive(state.supervisor)
    assert embedded.running(own) is None
    assert not embedded.in_use(own)


def test_processes_that_start_at_once_share_a_server(own: Path) -> None:
    clients = [start_client(HOLD, own) for _ in range(2)]
    try:
        for client in clients:
            assert client.stdout is not None
            assert client.stdout.readline() == "open\n"
        state = state_of(own)
    finally:
        for client in clients:
            client.kill()
            client.communicate()
    assert is_alive(state.pid)  # for a while: who was killed may come back
    until(lambda: not is_alive(state.pid) and not is_alive(state.supervisor), 90)


def test_a_server_that_is_kept_outlives_its_users(own: Path) -> None:
    embedded.keep_running(own)
    state = state_of(own)
    with open_graph(opened(own)) as store:
        put(store, "m")
        assert not embedded.stop(own)
        assert keys_of(store) == ["m"]
    assert not is_alive(state.pid)
    embedded.keep_running(own)
    assert embedded.stop(own)
    assert embedded.running(own) is None


def test_nobody_starts_a_server_while_its_folder_is_deleted(own: Path) -> None:
    with open_graph(opened(own)) as store:
        put(store, "m")
        assert not embedded.erase(own)
    place = GraphHome.below(own)
    embedded.keep_running(own)
    starting = place.start_lock.stat().st_ino
    with ThreadPoolExecutor(1) as pool:
        with exclusive(place.start_lock, timeout=5, what="starting"):
            erased = pool.submit(embedded.erase, own)
            time.sleep(0.3)
            assert not erased.done()
            assert (place.root / "databases").exists()
        assert erased.result()
    assert place.start_lock.stat().st_ino == starting
    assert not (place.root / "databases").exists()
    with open_graph(opened(own)) as store:
        assert keys_of(store) == []


def test_only_the_owner_reads_passwords_and_only_this_machine_connects(own: Path) -> None:
    with open_graph(opened(own)):
        place = GraphHome.below(own)
        for path in (place.password_file, place.reader_password_file):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        state = state_of(own)
        for address in _addresses_of_this_machine():
            for port in (state.bolt_port, state.http_port):
                with pytest.raises(OSError):
                    socket.create_connection((address, port), timeout=1)


def test_a_killed_server_loses_nothing_and_comes_back_under_its_users(own: Path) -> None:
    with open_graph(opened(own)) as store:
        ensure_schema(store)
        put(store, *(str(n) for n in range(50)))
        state = state_of(own)
        time.sleep(0.5)
        os.kill(state.pid, signal.SIGKILL)
        assert len(keys_of(store)) == 50
        put(store, "after")
        assert state_of(own).pid != state.pid
        assert state_of(own).bolt_port == state.bolt_port
    with open_graph(opened(own)) as store:
        assert len(keys_of(store)) == 51


def test_killing_server_supervisor_and_writer_loses_nothing(own: Path) -> None:
    with open_graph(opened(own)) as store:
        ensure_schema(store)
    writer = start_client(WRITE, own)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline() for _ in range(200)]
    state = state_of(own)
    for pid in (state.supervisor, state.pid, writer.pid):
        os.kill(pid, signal.SIGKILL)
    rest, _ = writer.communicate()
    acknowledged += rest.splitlines()
    with open_graph(opened(own)) as store:
        assert {line.strip() for line in acknowledged} <= set(keys_of(store))
        again = state_of(own)
        assert again.pid != state.pid
        assert (again.bolt_port, again.http_port) == (state.bolt_port, state.http_port)


def test_a_server_whose_supervisor_was_killed_is_replaced(own: Path) -> None:
    with open_graph(opened(own)) as store:
        put(store, "m")
        state = state_of(own)
        os.kill(state.supervisor, signal.SIGKILL)
        assert keys_of(store) == ["m"]
    with open_graph(opened(own)) as store:
        assert keys_of(store) == ["m"]
        assert not is_alive(state.pid)


def test_a_stale_state_file_harms_nobody(own: Path) -> None:
    place = GraphHome.below(own)
    place.create_folder()
    place.write_state(ServerState(os.getpid(), os.getpid(), 1, 2))
    with open_graph(opened(own)) as store:
        put(store, "m")
    place.state_file.write_text("{", encoding="utf-8")
    with open_graph(opened(own)) as store:
        assert keys_of(store) == ["m"]


@pytest.mark.parametrize("left", [None, "{", '{"pid": 1}'])
def test_a_lost_record_of_a_running_server_is_written_again(own: Path, left: str | None) -> None:
    with open_graph(opened(own)) as store:
        put(store, "m")
        known, file = state_of(own), GraphHome.below(own).state_file
        if left is None:
            file.unlink()
        else:
            file.write_text(left, encoding="utf-8")
        begun = time.monotonic()
        with open_graph(opened(own)) as other:
            assert keys_of(other) == ["m"]
        assert time.monotonic() - begun < 20
        assert state_of(own) == known


def test_a_copied_home_is_no_way_into_its_origin(own: Path) -> None:
    origin, copy = own / "origin", own / "copy"
    with open_graph(opened(origin)) as store:
        ensure_schema(store)
        put(store, "both")
        ports = state_of(origin)
    shutil.copytree(origin, copy)
    try:
        with open_graph(opened(copy)) as store:
            assert keys_of(store) == ["both"]
            assert password_of(copy) != password_of(origin)
            put(store, "copy")
        with open_graph(opened(origin)) as store:
            assert keys_of(store) == ["both"]
            assert state_of(origin).bolt_port == ports.bolt_port
    finally:
        embedded.stop(origin, force=True)
        embedded.stop(copy, force=True)


def test_a_moved_home_keeps_its_passwords(own: Path) -> None:
    first, second = own / "first", own / "second"
    with open_graph(opened(first)):
        known = password_of(first)
    first.rename(second)
    with open_graph(opened(second)):
        assert password_of(second) == known


def test_a_copy_of_a_running_home_has_no_hold_on_its_server(own: Path) -> None:
    origin, copy = own / "origin", own / "copy"
    embedded.keep_running(origin)
    try:
        state = state_of(origin)
        shutil.copytree(origin, copy)
        assert embedded.running(copy) is None
        embedded.restart(copy)
        assert embedded.stop(copy)
        assert state_of(origin) == state
    finally:
        embedded.stop(origin, force=True)


def test_nothing_is_written_to_the_graph_that_took_the_port(own: Path) -> None:
    """As when two copies of a home run in turn, and the server of one is away for a moment."""
    mine, other = own / "mine", own / "other"
    config = StoreConfig(retry_time=3)
    try:
        with open_graph(opened(mine), config) as store:
            ensure_schema(store)
            ports = state_of(mine)
            shutil.copytree(mine, other)  # as it runs
            place = GraphHome.below(other)
            os.kill(ports.supervisor, signal.SIGKILL)
            os.kill(ports.pid, signal.SIGKILL)
            until(lambda: not is_alive(ports.pid))
            with open_graph(opened(other)):
                pass  # it has parted from its origin now
            place.ports_file.write_text(f"{ports.bolt_port} {ports.http_port}\n")
            with open_graph(opened(other)) as taker:
                assert state_of(other).bolt_port == ports.bolt_port
                with pytest.raises(GraphAuthError):
                    put(store, "mine")
                assert keys_of(taker) == []
                with open_graph(opened(mine)) as again:
                    assert state_of(mine).bolt_port != ports.bolt_port
                    put(again, "mine")
                assert keys_of(taker) == []
    finally:
        embedded.stop(mine, force=True)
        embedded.stop(other, force=True)


@pytest.mark.parametrize("which", ["bolt_port", "http_port"])
def test_a_server_whose_port_is_taken_while_it_is_away_starts_at_another(
    own: Path, which: str
) -> None:
    with open_graph(opened(own)) as store:
        put(store, "m")
        before = state_of(own)
        os.kill(before.supervisor, signal.SIGSTOP)
        os.kill(before.pid, signal.SIGKILL)
        until(lambda: not embedded.running(own))
        with socket.create_server(("127.0.0.1", getattr(before, which))):
            os.kill(before.supervisor, signal.SIGCONT)
            with open_graph(opened(own)) as other:
                assert keys_of(other) == ["m"]
            after = state_of(own)
            assert getattr(after, which) != getattr(before, which)
            assert after.supervisor == before.supervisor


def test_a_server_that_comes_second_to_a_port_is_started_at_another(own: Path) -> None:
    with open_graph(opened(own)) as store:
        put(store, "m")
    place = GraphHome.below(own)
    ports = [int(port) for port in place.ports_file.read_text().split()]
    with socket.create_server(("127.0.0.1", ports[0])), socket.create_server(("127.0.0.1", 0)):
        # Where another comes between the look at the ports and the start.
        supervisor = Supervisor(place, ServerConfig())
        supervisor._bolt_port, supervisor._http_port = ports
        server = subprocess.Popen(["sleep", "60"])
        try:
            assert supervisor._reached(server.pid) == (True, False)
            assert supervisor._reached(os.getpid()) == (False, False)
        finally:
            server.kill()
            server.wait()


def test_lost_passwords_are_made_anew(own: Path) -> None:
    with open_graph(opened(own)) as store:
        put(store, "m")
    place = GraphHome.below(own)
    place.password_file.unlink()
    place.reader_password_file.write_text("another password", encoding="utf-8")
    with open_graph(opened(own)) as store:
        assert keys_of(store) == ["m"]


def test_a_reader_that_was_never_made_is_made_by_the_next_user(own: Path) -> None:
    embedded.keep_running(own)
    place = GraphHome.below(own)
    place.reader_password_file.write_text("not the one that was set", encoding="utf-8")
    with open_graph(opened(own)) as store:
        assert arcade.accepts_reader(store.address)
        put(store, "m")
        assert keys_of(store) == ["m"]


def test_a_server_that_hangs_is_not_waited_for_long(
    hanging: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arcade, "_PROMPT", 0.2)
    began = time.monotonic()
    assert not arcade.is_ready(hanging)
    assert time.monotonic() - began < 5


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match=r"cannot be written.*KGREC_HOME"),
        open_graph(opened(tmp_path / "file" / "home")),
    ):
        raise AssertionError("it must not open")


def test_a_missing_package_is_named_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "arcadedb_embedded", None)
    with (
        pytest.raises(ConfigError, match=r"pip install 'kgrec\[embedded\]'"),
        open_graph(opened(tmp_path)),
    ):
        raise AssertionError("it must not open")


def test_a_server_that_cannot_run_shows_the_end_of_its_log(own: Path) -> None:
    with (
        pytest.raises(GraphUnavailableError, match=r"(?s)ended while it started.*heap"),
        embedded.embedded_server(own, ServerConfig(heap_mb=1)),
    ):
        raise AssertionError("it must not start")
    assert embedded.running(own) is None


def test_a_start_that_cannot_record_its_state_leaves_no_server_and_a_usable_home(
    own: Path,
) -> None:
    place = GraphHome.below(own)
    place.create_folder()
    draft = place.state_file.with_suffix(".draft")
    draft.mkdir()  # what a full disk does as well: the state cannot be written
    with (
        pytest.raises(GraphUnavailableError, match=r"(?s)ended while it started.*cannot be used"),
        embedded.embedded_server(own),
    ):
        raise AssertionError("it must not start")
    assert not processes.with_argument(root_argument(place))
    assert not processes.is_held(place.supervisor_lock)
    draft.rmdir()
    with open_graph(opened(own)) as store:
        put(store, "m")
        assert keys_of(store) == ["m"]


def test_a_server_that_nobody_recorded_is_ended_by_the_next_start(own: Path) -> None:
    embedded.keep_running(own)
    place, state = GraphHome.below(own), state_of(own)
    os.kill(state.supervisor, signal.SIGKILL)
    place.state_file.unlink()
    with open_graph(opened(own)) as store:
        assert not is_alive(state.pid)
        put(store, "m")
        assert keys_of(store) == ["m"]


def test_a_server_that_is_not_ready_in_time_is_ended(own: Path) -> None:
    with (
        pytest.raises(GraphUnavailableError, match="not ready after"),
        embedded.embedded_server(own, ServerConfig(ready_timeout=0.2)),
    ):
        raise AssertionError("it must not start")
    assert GraphHome.below(own).read_state() is None
    assert not embedded.in_use(own)


def _addresses_of_this_machine() -> list[str]:
    try:
        found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        return []
    addresses = {str(one[4][0]) for one in found}
    return [one for one in sorted(addresses) if not one.startswith("127.")]
