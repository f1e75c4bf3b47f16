"""The folder of the embedded server: its paths, passwords and recorded state."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from kgrec.errors import ConfigError

_LOCKS = frozenset({".lock", ".turn"})
"""How the names of lock files end."""


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

    def create_passwords(self) -> None:
        """Make the passwords where they are missing; raises ConfigError when that fails.

        The server knows its users by hashes, so with new passwords it must forget the old users.
        """
        try:
            for path in (self.password_file, self.reader_password_file):
                if not path.exists():
                    (self.root / "config" / "server-users.jsonl").unlink(missing_ok=True)
                    _write_secret(path, secrets.token_urlsafe(24))
        except OSError as error:
            raise self._unwritable(error) from None

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


def _write_secret(path: Path, secret: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
