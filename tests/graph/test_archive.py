"""The archive of the server's classes: made behind a server that stays, used by the next start."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgrec.graph import archive as made
from kgrec.graph import embedded, launch, supervisor
from kgrec.graph.home import GraphHome
from kgrec.graph.launch import ServerConfig, archive_of, package_folder
from kgrec.graph.processes import command_line
from kgrec.graph.store import GraphStore


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the user, for this process and those that it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    embedded.stop(tmp_path / "home", force=True)


def test_an_archive_is_made_once_and_used(cache: Path, own: Path) -> None:
    assert made.make()
    archive = archive_of(package_folder())
    assert archive.is_relative_to(cache)
    assert [one.name for one in archive.parent.glob("*.aot")] == [archive.name]
    made_at = archive.stat().st_mtime_ns
    assert made.make()
    assert archive.stat().st_mtime_ns == made_at
    with embedded.embedded_server(own) as address, GraphStore(address) as store:
        state = embedded.running(own)
        assert state is not None
        assert f"-XX:AOTCache={archive}" in command_line(state.pid)
        assert store.read("admin/labels") is not None
        log = GraphHome.below(own).log_file.read_text()
        assert "aot" not in log.lower()  # the runtime's complaints name it


def test_a_damaged_archive_does_not_keep_a_server_from_starting(cache: Path, own: Path) -> None:
    archive = archive_of(package_folder())
    archive.parent.mkdir(parents=True)
    for content in (b"", b"\xff" * 100_000):
        archive.write_bytes(content)
        with embedded.embedded_server(own) as address, GraphStore(address) as store:
            assert store.read("admin/labels") is not None


def test_a_server_that_cannot_start_with_the_archive_starts_without(
    cache: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = GraphHome.below(own)
    home.create_folder()
    home.create_passwords()
    started: list[list[str]] = []

    def broken(home: GraphHome, config: ServerConfig, bolt: int, http: int) -> list[str]:
        started.append(["with" if config.archive else "without"])
        return ["false"]

    monkeypatch.setattr(supervisor, "command", broken)
    assert supervisor.Supervisor(home, ServerConfig()).run() == 0
    assert started == [["with"], ["without"]]


def test_what_a_runtime_cannot_make_is_not_tried_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []
    monkeypatch.setattr(made, "_record", lambda home, draft: tried.append(home))
    assert not made.make()
    assert not made.make()
    assert len(tried) == 1


def test_a_server_that_stays_has_the_archive_made_behind_it(
    cache: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = GraphHome.below(own)
    home.create_folder()
    home.create_passwords()
    monkeypatch.setattr(supervisor, "_SETTLED", 0.0)
    one = supervisor.Supervisor(home, ServerConfig())

    def stop_later() -> None:
        while one._maker is None:
            time.sleep(0.05)
        one._stopping = True

    thread = threading.Thread(target=stop_later)
    thread.start()
    assert one.run() == 0
    thread.join()
    assert one._maker is not None
    assert one._maker.poll() is not None  # who makes it ends with the supervisor
    assert not home.state_file.exists()


def test_the_flags_name_an_archive_only_where_there_is_one(cache: Path, tmp_path: Path) -> None:
    home = GraphHome.below(tmp_path)

    def flags(config: ServerConfig) -> list[str]:
        return [one for one in launch.command(home, config, 1, 2) if "AOT" in one]

    archive = archive_of(package_folder())
    assert flags(ServerConfig()) == []
    archive.parent.mkdir(parents=True)
    archive.touch()
    assert flags(ServerConfig()) == [f"-XX:AOTCache={archive}"]
    assert flags(ServerConfig(archive=False)) == []
    assert flags(ServerConfig(record="x")) == ["-XX:AOTCacheOutput=x"]
