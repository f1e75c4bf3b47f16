"""Vectors of texts, each computed once: kept on disk by the content of text and model."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgrec.errors import DataError
from kgrec.progress import SILENT, Progress

logger = logging.getLogger(__name__)

_BATCH = 32
_FLUSH = 64
"""Batches between two writes of the cache: what a killed run loses at most."""
_LOOKUP = 500
"""Keys in one query; older versions of SQLite allow 999 parameters."""


def text_key(text: str) -> bytes:
    """Return the 20-byte content hash under which a text's vector is kept."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


class VectorCache:
    """One SQLite file for one model: key to float32 vector.

    A write is a transaction, so a killed process loses at most its last batch and two processes
    may share the file. A damaged file is renamed and a new one started.

    Args:
        folder: made when absent.
        model: identifies weights and precision; each gets a file of its own.

    Raises:
        DataError: the folder or file cannot be written.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.path = folder / f"{hashlib.blake2b(model.encode(), digest_size=8).hexdigest()}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.OperationalError) as error:
            raise _unusable(self.path, error) from None
        except sqlite3.DatabaseError as error:
            self._set_aside(error)

    def read(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the vectors that are known, each float32 [D]."""
        found: dict[bytes, NDArray[np.float32]] = {}
        try:
            with closing(self._connect()) as connection:
                for start in range(0, len(keys), _LOOKUP):
                    part = keys[start : start + _LOOKUP]
                    marks = ",".join("?" * len(part))
                    query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608
                    for key, blob in connection.execute(query, part):
                        found[key] = np.frombuffer(blob, dtype=np.float32)
        except sqlite3.OperationalError as error:
            raise _unusable(self.path, error) from None
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            return {}
        return found

    def write(self, keys: Iterable[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep the rows of `vectors`, float32 [N, D], under `keys`."""
        rows = [(key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        try:
            with closing(self._connect()) as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error) from None

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=60)

    def _prepare(self) -> None:
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
                " WITHOUT ROWID"
            )

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self.path.with_suffix(".damaged")
        logger.warning("the vector cache %s is damaged (%s); set aside", self.path, error)
        try:
            self.path.replace(aside)
            self._prepare()
        except (OSError, sqlite3.DatabaseError) as again:
            raise _unusable(self.path, again) from None


def _unusable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"the cache of text vectors cannot be used ({error})",
        value=str(path),
        remedy="Make its folder writable, or choose another.",
    )


def cached_vectors(
    texts: Sequence[str],
    cache: VectorCache | None,
    compute: Callable[[list[str]], NDArray[np.float32]],
    progress: Progress = SILENT,
) -> NDArray[np.float32]:
    """Return the vectors of texts; those that are not kept are computed, each text once.

    Args:
        texts: one or more.
        cache: None keeps none.
        compute: vectors of at most 32 texts of similar length, float32 [N, D].

    Returns:
        float32 [N, D].
    """
    keys = [text_key(text) for text in texts]
    pending = dict(zip(keys, texts, strict=True))
    vectors = cache.read(list(pending)) if cache else {}
    pending = {key: text for key, text in pending.items() if key not in vectors}
    # Texts of similar length in one batch need little padding.
    order = sorted(pending, key=lambda key: len(pending[key]), reverse=True)
    if order:
        with progress.task("encode texts", total=len(order)) as task:
            fresh: list[bytes] = []
            for start in range(0, len(order), _BATCH):
                part = order[start : start + _BATCH]
                rows = compute([pending[key] for key in part])
                vectors.update(zip(part, rows, strict=True))
                fresh += part
                task.advance(len(part))
                if cache and (len(fresh) >= _FLUSH * _BATCH or start + _BATCH >= len(order)):
                    cache.write(fresh, np.stack([vectors[key] for key in fresh]))
                    fresh = []
    return np.stack([vectors[key] for key in keys])
