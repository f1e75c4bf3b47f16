"""The process that owns the embedded server: `python -m kgrec.graph.supervisor FOLDER CONFIG`.

It starts the server, starts it again when it dies under its users, on the same ports where these
are still free, and ends it when the last user is gone; a while later where that user was killed
and may be started again.
Users are holders of a shared lock, so the system counts them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from kgrec.graph.home import (
    GraphHome,
    ServerState,
    free_ports,
    is_listening,
    same_ports,
    write_ports,
)
from kgrec.graph.launch import (
    ServerConfig,
    archive_of,
    command,
    package_folder,
    write_groups,
)
from kgrec.graph.processes import FileLock, ports_of

_PAUSE = 0.2
_RESTARTS = 5
"""How often a server that has listened before is started again within `_SPELL` seconds."""
_SPELL = 300.0
_SETTLED = 30.0
"""Seconds after which the archive of classes is made, for who is started for long."""


class Supervisor:
    """Keeps one server alive for the users of one folder."""

    def __init__(self, home: GraphHome, config: ServerConfig) -> None:
        self._home = home
        self._config = config
        self._stopping = False
        self._deaths: list[float] = []
        self._bolt_port = self._http_port = 0
        self._users = FileLock(home.users_lock)
        self._alone_since: float | None = None
        self._archived = False
        self._maker: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Serve until stopped, until no user is left, or until the server fails to stay up."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            while self._serve():
                continue
        finally:
            if self._maker is not None:
                _end(self._maker, self._config.stop_timeout)
            self._home.state_file.unlink(missing_ok=True)
        return 0

    def _serve(self) -> bool:
        """Run the server once; return whether it died under its users and may be started again."""
        server = self._start()
        listened, displaced, begun = False, False, time.monotonic()
        try:
            self._record(server.pid)
            while server.poll() is None:
                if self._stopping or self._deserted():
                    return False
                self._keep_record(server.pid)
                if not listened:
                    others, listened = self._reached(server.pid)
                    if others:
                        displaced = True
                        break
                with suppress(subprocess.TimeoutExpired):  # its end is noticed within 50 ms
                    server.wait(_PAUSE)
                if listened and time.monotonic() - begun > _SETTLED:
                    self._make_archive()
        finally:  # whatever failed: a server without supervisor would block the folder
            _end(server, self._config.stop_timeout)
        if not listened and not displaced and not self._stopping and self._config.archive:
            # A damaged archive may be the reason.
            self._config = self._config.model_copy(update={"archive": False})
            return True
        now = time.monotonic()
        self._deaths = [*(at for at in self._deaths if now - at < _SPELL), now]
        again = (listened or displaced) and not self._stopping
        return again and len(self._deaths) <= _RESTARTS

    def _start(self) -> subprocess.Popen[bytes]:
        write_groups(self._home)
        # The ports of the time before, where they are free: who knows them need not ask again.
        self._bolt_port, self._http_port = same_ports(self._home) or free_ports(2)
        return subprocess.Popen(
            command(self._home, self._config, self._bolt_port, self._http_port),
            cwd=self._home.root,
            stdin=subprocess.DEVNULL,
        )

    def _reached(self, pid: int) -> tuple[bool, bool]:
        """Return whether others listen at a port of the server, and whether it does at both.

        It goes on without a port that it cannot have.
        """
        ports = {self._bolt_port, self._http_port}
        listening = {port for port in ports if is_listening(port)}
        own = ports_of(pid)
        return own is not None and not listening <= own, listening == ports

    def _make_archive(self) -> None:
        """Have the archive of classes made, once, where it is used and there is none."""
        if self._archived:
            return
        self._archived = True
        if self._config.archive and not archive_of(package_folder()).exists():
            module = [sys.executable, "-P", "-m", "kgrec.graph.archive"]
            self._maker = subprocess.Popen(module, stdin=subprocess.DEVNULL)

    def _record(self, pid: int) -> None:
        self._home.write_state(self._state(pid))
        write_ports(self._home, self._bolt_port, self._http_port)

    def _keep_record(self, pid: int) -> None:
        """Record the server again where that was lost: who waits for it would wait in vain."""
        state = self._state(pid)
        if self._home.read_state() != state:
            with suppress(OSError):  # a full disk ends no server that runs
                self._home.write_state(state)

    def _state(self, pid: int) -> ServerState:
        return ServerState(pid, os.getpid(), self._bolt_port, self._http_port)

    def _deserted(self) -> bool:
        """Tell whether no user has come back for a while; who leaves as usual ends the server."""
        if self._home.keep_file.exists() or not self._users.try_acquire():
            self._alone_since = None
            return False
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if now - self._alone_since >= self._config.linger:
            return True  # the lock is kept until this process ends: newcomers wait for that
        self._users.unlock()
        return False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True


def _end(server: subprocess.Popen[bytes], timeout: float) -> None:
    if server.poll() is not None:
        return
    server.terminate()
    try:
        server.wait(timeout)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def main(folder: str, config: str) -> int:
    """Become the supervisor of a folder, as a process of its own.

    Returns at once in the calling process: 0 when the supervisor runs, 1 when there is one.
    """
    home = GraphHome(Path(folder))
    lock = FileLock(home.supervisor_lock)
    if not lock.try_acquire():
        return 1
    if os.fork():
        lock.close()
        return 0
    os.setsid()
    try:
        return Supervisor(home, ServerConfig.model_validate_json(config)).run()
    except OSError as error:  # the log is what the caller shows
        print(f"the graph's folder cannot be used: {error}", flush=True)
        return 1
    finally:
        lock.release()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
