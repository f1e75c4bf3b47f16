"""Paraphrases of texts by a language model, each requested once and cached."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from kgrec.errors import DataError
from kgrec.progress import SILENT, Progress
from kgrec.text.language_model import LanguageModel, Message

_ORDER = (
    "Say the following description of an item in other words. Keep all names and facts, add "
    "none, and answer with the new description alone."
)


def paraphrased(
    texts: Sequence[str],
    model: LanguageModel,
    count: int,
    cache: Path,
    *,
    progress: Progress = SILENT,
) -> dict[str, list[str]]:
    """Return `count` paraphrases of each text; only those that are not cached are requested.

    Args:
        cache: a file, made when absent, that keeps every answer at once.

    Raises:
        ModelError: the model does not answer.
        DataError: the file cannot be used.
    """
    found: dict[str, list[str]] = {}
    distinct = [text for text in dict.fromkeys(texts) if text.strip()]
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(cache, timeout=60)) as kept:
            _prepare(kept)
            with progress.task("paraphrase", len(distinct) * count) as task:
                for text in distinct:
                    for number in range(count):
                        found.setdefault(text, []).append(_paraphrase(kept, model, text, number))
                        task.advance()
    except (OSError, sqlite3.Error) as error:
        raise DataError(
            f"the paraphrases cannot be kept ({error})",
            value=str(cache),
            remedy="Make its folder writable, or choose another.",
        ) from None
    return found


def _paraphrase(kept: sqlite3.Connection, model: LanguageModel, text: str, number: int) -> str:
    parts = json.dumps([model.name, _ORDER, text, number]).encode()
    key = hashlib.blake2b(parts, digest_size=20).digest()
    row = kept.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
    if row is not None:
        return str(row[0])
    order = Message(role="system", content=_ORDER)
    answer = model.complete([order, Message(role="user", content=text)])
    with kept:
        kept.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, answer))
    return answer


def _prepare(kept: sqlite3.Connection) -> None:
    with kept:
        kept.execute(
            "CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL)"
        )
