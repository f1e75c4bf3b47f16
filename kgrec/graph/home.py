"""The folder of the embedded server: its paths, passwords and recorded state; its ports."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from kgrec.errors import ConfigError

_SLOW = "$65536$"
"""Stands in the hash of a password that was hashed so many times."""
_LOCKS = frozenset({".lock", ".turn"})
"""How the names of lock files end."""
_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TAIL = 64 * 1024
"""Bytes at the end of a log that are searched for the cause of an error."""
_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d ", re.MULTILINE)
_CAUSE = re.compile(r"^Caused by: [\w.$]+: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class ServerState:
    """Ports and process ids of a running server and its supervisor."""

    pid: int
    supervisor: int
    bolt_port: int
    http_port: int


@dataclass(frozen=True)
class GraphHome:
    """Paths below `<home>/graph`, the folder of the embedded server."""

    root: Path

    @classmethod
    def below(cls, home: Path) -> GraphHome:
        """Return the graph folder of a kgrec home, which need not exist."""
        return cls(Path(os.path.realpath(home)) / "graph")

    @property
    def password_file(self) -> Path:
        return self.root / "password"

    @property
    def reader_password_file(self) -> Path:
        return self.root / "password.reader"

    @property
    def log_file(self) -> Path:
        return self.root / "server.log"

    @property
    def state_file(self) -> Path:
        return self.root / "server.json"

    @property
    def ports_file(self) -> Path:
        return self.root / "server.ports"

    @property
    def origin_file(self) -> Path:
        """Holds which folder the passwords and the ports were made for (`part_from_origin`)."""
        return self.root / "origin"

    @property
    def keep_file(self) -> Path:
        """Exists while the server is to outlive its last user."""
        return self.root / "keep"

    @property
    def start_lock(self) -> Path:
        """Held exclusively while a server is started or stopped."""
        return self.root / "start.lock"

    @property
    def users_lock(self) -> Path:
        """Held shared by every store in use."""
        return self.root / "users.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held exclusively by the supervisor for as long as it lives."""
        return self.root / "supervisor.lock"

    @property
    def write_lock(self) -> Path:
        """Held exclusively around each write transaction."""
        return self.root / "write.lock"

    @property
    def exists(self) -> bool:
        return self.password_file.exists()

    def create_folder(self) -> None:
        """Make the folder where it is missing; raises ConfigError when that cannot be done."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._unwritable(error) from None

    def part_from_origin(self) -> None:
        """Have a folder that is a copy of another use passwords and ports of its own.

        With those of its origin, whoever is connected to the one would go on at the other, write
        there and be acknowledged, as soon as its own server is away and the other is started at
        the port that both know. Only for a folder whose server does not run. A folder that was
        moved keeps what it has, as long as it stays on its disk.

        Raises:
            ConfigError: a file cannot be written or deleted.
        """
        about = self.root.stat()
        here = f"{about.st_dev} {about.st_ino}\n"
        try:
            if _content(self.origin_file) == here:
                return
            copied = (self.state_file, self.ports_file, self.keep_file)
            for path in (*copied, self.password_file, self.reader_password_file):
                path.unlink(missing_ok=True)
            self.create_passwords()
            self.origin_file.write_text(here, encoding="ascii")
        except OSError as error:
            raise self._unwritable(error) from None

    def create_passwords(self) -> None:
        """Make the passwords where they are missing; raises ConfigError when that fails.

        The server knows its users by hashes, so with new passwords it must forget the old users.
        """
        try:
            for path in (self.password_file, self.reader_password_file):
                if not path.exists():
                    self._users_file.unlink(missing_ok=True)
                    _write_secret(path, secrets.token_urlsafe(24))
        except OSError as error:
            raise self._unwritable(error) from None

    def forget_slow_users(self) -> None:
        """Have a server that does not run make its users anew where each login would take long.

        Servers before hashed the passwords, which are long and random, so often that the logins
        were a fifth of a start.
        """
        with suppress(OSError):
            if _SLOW in self._users_file.read_text(encoding="utf-8"):
                self._users_file.unlink()

    @property
    def _users_file(self) -> Path:
        return self.root / "config" / "server-users.jsonl"

    def erase(self) -> None:
        """Delete all but the lock files, for others may be waiting at those.

        Raises:
            ConfigError: something cannot be deleted.
        """
        try:
            for path in self.root.iterdir():
                if path.suffix in _LOCKS:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the graph's folder cannot be deleted ({error.strerror})", value=str(self.root)
            ) from None

    def _unwritable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"the graph's folder cannot be written ({error.strerror})",
            value=str(self.root),
            remedy="Make it writable, or set KGREC_HOME to another folder.",
        )

    def password(self) -> str:
        """Return the password of the user that may write."""
        return self._secret(self.password_file)

    def reader_password(self) -> str:
        """Return the password of the user that may only read."""
        return self._secret(self.reader_password_file)

    def _secret(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(
                f"the graph's password cannot be read ({error.strerror})", value=str(path)
            ) from None

    def read_state(self) -> ServerState | None:
        """Return the recorded state; None when there is none or it is not readable."""
        try:
            return ServerState(**json.loads(self.state_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write_state(self, state: ServerState) -> None:
        """Write the state of the server, atomically."""
        draft = self.state_file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(state)), encoding="utf-8")
        draft.replace(self.state_file)

    def log_tail(self, lines: int = 12) -> str:
        """Return the last lines of the server's log."""
        try:
            text = self.log_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def logged_cause(log_file: Path, message: str) -> str | None:
    """Return what a server's log has as the cause of an error that it has just sent."""
    try:
        with log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL))
            text = log.read().decode(errors="replace")
    except OSError:
        return None
    _, found, after = text.rpartition(f"Exception: {message}")
    cause = _CAUSE.search(_ENTRY.split(after, maxsplit=1)[0]) if found else None
    return cause[1] if cause else None


def _write_secret(path: Path, secret: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def free_ports(count: int) -> list[int]:
    """Return distinct TCP ports that are free on the loopback address just now.

    They lie below those that the system gives to connections that go out, where it has such: else
    one of these might take the port of a server that is just started again, even a connection to
    that very port, which is then connected to itself.
    """
    least, most = 20_000, _first_outgoing()
    likely = random.sample(range(least, most), 100) if most - least >= 100 else []
    found: list[socket.socket] = []
    try:
        for port in [*likely, *[0] * count]:
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                one.close()
                continue
            found.append(one)
            if len(found) == count:
                break
        return [int(one.getsockname()[1]) for one in found]
    finally:
        for one in found:
            one.close()


def _first_outgoing() -> int:
    """Return the lowest port that the system gives to outgoing connections; 0 if unknown."""
    try:
        return int(_OUTGOING.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def same_ports(home: GraphHome) -> list[int] | None:
    """Return the ports that the server of a folder had before, None where they are not free."""
    try:
        ports = [int(port) for port in home.ports_file.read_text(encoding="utf-8").split()]
        if len(ports) != 2:
            return None
        for port in ports:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
                # As the server does: connections that just ended do not keep a port.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(("127.0.0.1", port))
    except (OSError, ValueError, OverflowError):
        return None
    return ports


def write_ports(home: GraphHome, bolt_port: int, http_port: int) -> None:
    """Keep the ports of a server for its next start."""
    home.ports_file.write_text(f"{bolt_port} {http_port}\n", encoding="utf-8")


def is_listening(port: int) -> bool:
    """Whether a port of the loopback address accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
