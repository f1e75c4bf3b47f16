"""The embedded server: processes share one, and the last to leave stops it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeGuard

from kgrec.errors import GraphUnavailableError, KGRecError
from kgrec.graph import processes
from kgrec.graph.address import Address, Login
from kgrec.graph.home import GraphHome, ServerState, is_listening
from kgrec.graph.http import accepts_reader, ensure_reader, is_ready
from kgrec.graph.launch import ServerConfig, package_folder, root_argument
from kgrec.graph.processes import FileLock, exclusive, is_held

_SOURCE = Path(__file__).resolve().parents[2]
_READER = "kgrec_reader"


@contextmanager
def embedded_server(home: Path, config: ServerConfig | None = None) -> Iterator[Address]:
    """Yield the address of the server of `home`, started if it does not run.

    Raises:
        ConfigError: the folder cannot be written, or the server's package is not installed.
        GraphUnavailableError: the server does not start; the error holds the end of its log.
    """
    settings = config or ServerConfig()
    place = GraphHome.below(home)
    users, state = _enter(place, settings)
    try:
        yield _address(place, settings, state)
    finally:
        _leave(place, settings, users)


def start_ahead(home: Path, config: ServerConfig | None = None) -> None:
    """Start the server of a home that had one before, where none runs, without waiting for it.

    It ends by itself unless somebody uses it soon. What fails here fails whoever uses it, with an
    error that names the reason.
    """
    settings = config or ServerConfig()
    place = GraphHome.below(home)
    with suppress(KGRecError):
        if not place.exists:
            return
        with _transition(place, settings):
            if not is_held(place.supervisor_lock):
                place.part_from_origin()
                place.create_passwords()
                _start_supervisor(place, settings)


def keep_running(home: Path, config: ServerConfig | None = None) -> Address:
    """Start the server of `home` if needed, and keep it running until `stop`."""
    with embedded_server(home, config) as address:
        GraphHome.below(home).keep_file.touch()
    return address


def stop(home: Path, *, force: bool = False, config: ServerConfig | None = None) -> bool:
    """End the server of `home`; return whether it has ended.

    It stays for as long as others use it, unless `force`.
    """
    settings = config or ServerConfig()
    place = GraphHome.below(home)
    if not place.exists:
        return True
    place.keep_file.unlink(missing_ok=True)
    with _ended(place, settings, force=force) as ended:
        return ended


def erase(home: Path, *, config: ServerConfig | None = None) -> bool:
    """End the server of `home` and delete its databases, its passwords and its log.

    Nobody can start it in between. Returns whether that was done: not while others use it.

    Raises:
        ConfigError: a file cannot be deleted.
    """
    settings = config or ServerConfig()
    place = GraphHome.below(home)
    if not place.root.exists():
        return True
    with _ended(place, settings, force=False) as ended:
        if ended:
            place.erase()
        return ended


def revive(home: Path, config: ServerConfig | None = None) -> ServerState:
    """Return where the server listens once it does, started again where its supervisor is gone.

    For users whose lock is still held: they may go on where the ports are the same.

    Raises:
        GraphUnavailableError: the server does not start; the error holds the end of its log.
    """
    settings = config or ServerConfig()
    place = GraphHome.below(home)
    with _transition(place, settings):
        return _wait_until_ready(place, settings)


def restart(home: Path, *, config: ServerConfig | None = None) -> None:
    """End the server of `home`, where one runs, as its supervisor starts it again at once.

    What it has logged is written to its files, and the log begins anew. Its users reach it at the
    same ports, some seconds later.

    Raises:
        GraphUnavailableError: it does not come back.
    """
    settings = config or ServerConfig()
    place = GraphHome.below(home)
    state = running(home)
    if state is None:
        return
    processes.end(state.pid, timeout=settings.stop_timeout)
    with _transition(place, settings):
        if is_held(place.supervisor_lock):
            _wait_until_ready(place, settings)


def running(home: Path) -> ServerState | None:
    """Return the state of the running server of `home`, None when none runs."""
    place = GraphHome.below(home)
    state = place.read_state()
    # The record of a home that was copied while its server ran names the server of the other.
    return state if is_held(place.supervisor_lock) and _answers(state) else None


def in_use(home: Path) -> bool:
    """Whether any process is using the server of `home`."""
    users = GraphHome.below(home).users_lock
    if not users.exists():
        return False
    lock = FileLock(users)
    try:
        return not lock.try_acquire()
    finally:
        lock.release()


def _enter(place: GraphHome, config: ServerConfig) -> tuple[FileLock, ServerState]:
    package_folder()
    place.create_folder()
    with _transition(place, config):
        if not is_held(place.supervisor_lock):
            place.part_from_origin()
            place.forget_slow_users()
        place.create_passwords()
        users = FileLock(place.users_lock)
        try:
            users.acquire(
                shared=True, timeout=config.stop_timeout + 5, what="stopping the graph database"
            )
            state = _wait_until_ready(place, config)
            address = _address(place, config, state)
            # Who started the server may have died before it made the reader.
            if not accepts_reader(address):
                ensure_reader(address)
        except BaseException:
            users.release()
            raise
    return users, state


def _leave(place: GraphHome, config: ServerConfig, users: FileLock) -> None:
    try:
        with _transition(place, config):
            if not place.keep_file.exists() and users.try_acquire():
                _stop_server(place, config)
    finally:
        users.release()


@contextmanager
def _transition(place: GraphHome, config: ServerConfig) -> Iterator[None]:
    limit = config.ready_timeout + config.stop_timeout
    with exclusive(place.start_lock, timeout=limit, what="starting or stopping the graph database"):
        yield


@contextmanager
def _ended(place: GraphHome, config: ServerConfig, *, force: bool) -> Iterator[bool]:
    """Yield whether the server has ended; if so, it cannot be started within the block."""
    with _transition(place, config):
        users = FileLock(place.users_lock)
        try:
            idle = users.try_acquire() or force or not _answers(place.read_state())
            if idle:
                _stop_server(place, config)
            yield idle
        finally:
            users.release()


def _start_supervisor(place: GraphHome, config: ServerConfig) -> None:
    _end_orphan(place, config)
    path = os.pathsep.join(filter(None, [str(_SOURCE), os.environ.get("PYTHONPATH", "")]))
    module = ["-P", "-m", "kgrec.graph.supervisor"]
    with place.log_file.open("wb") as log:
        subprocess.run(
            [sys.executable, *module, str(place.root), config.model_dump_json()],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )


def _wait_until_ready(place: GraphHome, config: ServerConfig) -> ServerState:
    deadline = time.monotonic() + config.ready_timeout
    started, missing = False, ""
    while time.monotonic() < deadline:
        if not is_held(place.supervisor_lock):
            if started:
                raise _not_started(place, "the embedded graph database ended while it started")
            _start_supervisor(place, config)  # there was none, or it was just killed
            started = True
        state = place.read_state()
        if state is None:
            missing = "its supervisor has not recorded it"
        elif not _answers(state):
            missing = f"nothing listens at port {state.bolt_port} or {state.http_port}"
        elif is_ready(_address(place, config, state)):
            return state
        else:
            missing = "it listens, but has not opened its database"
        time.sleep(0.05)
    _stop_server(place, config)
    late = f"was not ready after {config.ready_timeout:g} seconds"
    raise _not_started(place, f"the embedded graph database {late}: {missing}")


def _not_started(place: GraphHome, what: str) -> GraphUnavailableError:
    tail = place.log_tail()
    return GraphUnavailableError(
        what, value=str(place.log_file), remedy=f"Its log ends:\n{tail}" if tail else ""
    )


def _address(place: GraphHome, config: ServerConfig, state: ServerState) -> Address:
    return Address(
        uri=f"bolt://127.0.0.1:{state.bolt_port}",
        database=config.database,
        login=Login("root", place.password()),
        reader=Login(_READER, place.reader_password()),
        http_uri=f"http://127.0.0.1:{state.http_port}",
        write_lock=place.write_lock,
        log_file=place.log_file,
    )


def _answers(state: ServerState | None) -> TypeGuard[ServerState]:
    return state is not None and is_listening(state.bolt_port) and is_listening(state.http_port)


def _stop_server(place: GraphHome, config: ServerConfig) -> None:
    state = place.read_state()
    if state is not None and is_held(place.supervisor_lock):
        processes.end(state.supervisor, timeout=config.stop_timeout + 5)
    _end_orphan(place, config)


def _end_orphan(place: GraphHome, config: ServerConfig) -> None:
    """End a server whose supervisor was killed, for it holds the lock of the database.

    It is found by its command line, since the supervisor may have ended before it wrote the state.
    """
    for pid in processes.with_argument(root_argument(place)):
        processes.end(pid, timeout=config.stop_timeout)
    place.state_file.unlink(missing_ok=True)
