"""API keys: random, hashed at rest, each with a role and a rate; and who may do what by them.

A key is `kgrec_<id>_<secret>` with 32 random bytes as its secret. What is stored is the SHA-256 of
the whole: with 256 bits to guess, a slow hash would add nothing but the time of each request.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import Field, ValidationError

from kgrec.config import FrozenModel, Settings
from kgrec.errors import ConfigError, NotFoundError
from kgrec.graph.processes import exclusive
from kgrec.serving.security import Role, is_loopback

_FORMAT = "Write role:key pairs with commas between them, such as read:KEY1,write:KEY2,admin:KEY3."
SHORTEST = 16
"""Characters of a plain key with which the server listens beyond its machine."""


class ApiKey(FrozenModel):
    """What is known of one key; the key itself is nowhere.

    Attributes:
        digest: SHA-256 of the key, in hexadecimal digits.
        rate: requests a second, with twice as many at once; None for no limit.
        old_digest: of the key before the last rotation, good until `old_until`.
    """

    key_id: str
    name: str = ""
    role: Role
    digest: str
    rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    created_at: datetime
    revoked_at: datetime | None = None
    old_digest: str | None = None
    old_until: datetime | None = None

    def matches(self, digest: str, now: datetime) -> bool:
        """Whether a presented key is this one, compared in constant time."""
        same = hmac.compare_digest(self.digest, digest)
        old = hmac.compare_digest(self.old_digest or "", digest)
        fresh = self.old_until is not None and now < self.old_until
        return self.revoked_at is None and (same or (old and fresh))


class _Content(FrozenModel):
    format: int = Field(default=1, ge=1, le=1)
    keys: tuple[ApiKey, ...] = ()


class KeyFile:
    """The stored keys, `<home>/keys.json`; read again when the file has changed.

    Raises:
        ConfigError: the file cannot be read or written, or is no file of keys.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "keys.json"
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[ApiKey, ...] = ()

    def keys(self) -> tuple[ApiKey, ...]:
        """Return every key, those that were revoked included."""
        try:
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                text = self.path.read_text(encoding="utf-8")
                self._keys = _Content.model_validate_json(text).keys
                self._seen = seen
        except FileNotFoundError:
            self._seen, self._keys = None, ()
        except (OSError, ValueError) as error:
            reason = "it is not a file of keys" if isinstance(error, ValidationError) else error
            raise ConfigError(
                f"the file of API keys cannot be read ({reason})",
                value=str(self.path),
                remedy="Restore it from a copy, or delete it and create keys anew.",
            ) from None
        return self._keys

    def create(self, role: Role, name: str = "", rate: float | None = None) -> tuple[ApiKey, str]:
        """Add a key; returns what is stored of it and the key, which is shown this once."""
        key_id = secrets.token_hex(4)
        text = _text(key_id)
        key = ApiKey(
            key_id=key_id,
            name=name,
            role=role,
            digest=digest_of(text),
            rate=rate,
            created_at=_now(),
        )
        with self._changing() as keys:
            keys.append(key)
        return key, text

    def rotate(self, key_id: str, grace_s: float = 0.0) -> tuple[ApiKey, str]:
        """Give a key a new secret; the old one stays good for `grace_s` seconds.

        Raises:
            NotFoundError: there is no such key, or it was revoked.
        """
        text = _text(key_id)

        def change(key: ApiKey) -> ApiKey:
            until = _now() + timedelta(seconds=grace_s) if grace_s else None
            old = {"old_digest": key.digest if grace_s else None, "old_until": until}
            return key.model_copy(update={"digest": digest_of(text), **old})

        return self._change(key_id, change), text

    def revoke(self, key_id: str) -> ApiKey:
        """Refuse a key from now on, by servers that run as well; raises NotFoundError."""
        return self._change(key_id, lambda key: key.model_copy(update={"revoked_at": _now()}))

    def _change(self, key_id: str, change: Callable[[ApiKey], ApiKey]) -> ApiKey:
        with self._changing() as keys:
            for number, key in enumerate(keys):
                if key.key_id == key_id and key.revoked_at is None:
                    keys[number] = change(key)
                    return keys[number]
        raise NotFoundError(
            "there is no such key in use", value=key_id, remedy="`kgrec keys list` shows them."
        )

    @contextmanager
    def _changing(self) -> Iterator[list[ApiKey]]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = self.path.with_suffix(".lock")
            with exclusive(lock, timeout=10, what="changing the API keys"):
                keys = list(self.keys())
                yield keys
                self._write(_Content(keys=tuple(keys)))
        except OSError as error:
            raise ConfigError(
                f"the file of API keys cannot be written ({error.strerror})", value=str(self.path)
            ) from None

    def _write(self, content: _Content) -> None:
        draft = self.path.with_suffix(f".{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content.model_dump_json(indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)


class KeyRing:
    """The keys of a server: plain ones of its settings, and stored ones.

    Without any it lets everybody in. Once there was a key it never does again, whatever happens to
    the file.
    """

    def __init__(
        self, plain: Sequence[ApiKey] = (), file: KeyFile | None = None, shortest: int = SHORTEST
    ) -> None:
        self._plain = tuple(plain)
        self._file = file
        self._needed = bool(plain)
        self.shortest = shortest  # characters of the shortest plain key

    def __bool__(self) -> bool:
        self._needed = self._needed or bool(self._file and self._file.keys())
        return self._needed

    @property
    def plain(self) -> int:
        """How many plain keys there are."""
        return len(self._plain)

    @classmethod
    def parse(cls, text: str, file: KeyFile | None = None) -> KeyRing:
        """Read `role:key` pairs with commas between them.

        Raises:
            ConfigError: a pair lacks its role or key, or a key stands twice. No message holds a
                key.
        """
        found: dict[str, ApiKey] = {}
        shortest = SHORTEST
        for number, pair in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
            name, _, key = (part.strip() for part in pair.partition(":"))
            if name.upper() not in Role.__members__ or not key:
                raise ConfigError(
                    f"KGREC_API_KEYS: pair {number} is not a role and a key", remedy=_FORMAT
                )
            digest = digest_of(key)
            if digest in found:
                raise ConfigError(
                    f"KGREC_API_KEYS: the key of pair {number} stands there twice",
                    remedy="Give each role a key of its own.",
                )
            shortest = min(shortest, len(key))
            role = Role[name.upper()]
            found[digest] = ApiKey(
                key_id=f"plain-{number}", role=role, digest=digest, created_at=_now()
            )
        return cls(tuple(found.values()), file, shortest)

    @classmethod
    def of(cls, settings: Settings) -> KeyRing:
        """Read the keys of these settings; raises ConfigError as `parse` and `KeyFile` do."""
        plain = settings.api_keys.get_secret_value() if settings.api_keys else ""
        ring = cls.parse(plain, KeyFile(settings.home))
        bool(ring)  # a broken file is found now
        return ring

    def find(self, key: str) -> ApiKey | None:
        """Return what is known of a presented key, None when it is not good."""
        digest, now = digest_of(key), _now()
        found: ApiKey | None = None
        for one in (*self._plain, *(self._file.keys() if self._file else ())):
            if one.matches(digest, now):  # compare all: constant time
                found = one
        return found

    def role(self, key: str) -> Role | None:
        """Return what a key allows, None when it is not good."""
        found = self.find(key)
        return None if found is None else found.role


def digest_of(key: str) -> str:
    """Return what is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def check_address(host: str, keys: KeyRing) -> None:
    """Refuse to listen beyond this machine without keys, or with short ones.

    Raises:
        ConfigError: it may not listen there.
    """
    if is_loopback(host):
        return
    create = "`kgrec keys create --role read` makes a key"
    if not keys:
        raise ConfigError(
            "without API keys the server listens on this machine only",
            value=host,
            remedy=f"{create}; or set KGREC_API_KEYS, or leave --host at 127.0.0.1. {_FORMAT}",
        )
    if keys.shortest < SHORTEST:
        raise ConfigError(
            f"KGREC_API_KEYS holds a key of fewer than {SHORTEST} characters, which can be guessed",
            value=host,
            remedy=f"{create} that cannot, or leave --host at 127.0.0.1.",
        )


def _text(key_id: str) -> str:
    return f"kgrec_{key_id}_{secrets.token_urlsafe(32)}"


def _now() -> datetime:
    return datetime.now(UTC)
