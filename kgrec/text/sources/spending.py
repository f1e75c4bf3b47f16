"""What a language model costs: limits on tokens, money and time, and the answers that are kept."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from kgrec.config import FrozenModel
from kgrec.errors import DataError
from kgrec.text.language_model import ModelAnswer

_MILLION = 1e6


class SpendingLimits(FrozenModel):
    """Limits of one run.

    Attributes:
        max_tokens: of all requests and answers together.
        max_cost: in the currency of the prices.
        price_input, price_output: of a million tokens.
        max_minutes: after which no request begins.
        answer_tokens: of one answer.
    """

    max_tokens: int | None = Field(default=None, ge=1)
    max_cost: float | None = Field(default=None, gt=0)
    price_input: float | None = Field(default=None, ge=0)
    price_output: float | None = Field(default=None, ge=0)
    max_minutes: float | None = Field(default=None, gt=0)
    answer_tokens: int = Field(default=1000, ge=1)

    @model_validator(mode="after")
    def _priced(self) -> Self:
        prices = (self.price_input, self.price_output)
        if (self.max_cost is not None or any(p is not None for p in prices)) and None in prices:
            raise ValueError("a cost needs both price_input and price_output, of a million tokens")
        return self


class Spending:
    """Counts tokens and money, and allows a request only while the worst case stays in the limits.

    Safe to use from several threads.
    """

    def __init__(self, limits: SpendingLimits) -> None:
        self._limits = limits
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._reserved_input = self._reserved_output = 0
        self.input_tokens = self.output_tokens = 0
        self.reached = ""
        """The limit that was reached, empty while none was."""

    @property
    def cost(self) -> float | None:
        """What the tokens cost so far, None without prices."""
        return self._cost(self.input_tokens, self.output_tokens)

    def reserve(self, tokens: int) -> bool:
        """Reserve what a request of so many tokens may take at most; False where it is too much."""
        with self._lock:
            given = self._limits.answer_tokens
            used_input = self.input_tokens + self._reserved_input + tokens
            used_output = self.output_tokens + self._reserved_output + given
            self.reached = self.reached or self._beyond(used_input, used_output)
            if self.reached:
                return False
            self._reserved_input += tokens
            self._reserved_output += given
            return True

    def settle(self, tokens: int, answer: ModelAnswer | None) -> None:
        """Count what a request used in place of what was reserved for it."""
        with self._lock:
            self._reserved_input -= tokens
            self._reserved_output -= self._limits.answer_tokens
            if answer is not None:
                counted = answer.input_tokens
                self.input_tokens += tokens if counted is None else counted
                used_output = answer.output_tokens
                self.output_tokens += (
                    estimated_tokens(answer.content) if used_output is None else used_output
                )

    def _beyond(self, used_input: int, used_output: int) -> str:
        limits, cost = self._limits, self._cost(used_input, used_output)
        if limits.max_tokens is not None and used_input + used_output > limits.max_tokens:
            return "max_tokens"
        if limits.max_cost is not None and cost is not None and cost > limits.max_cost:
            return "max_cost"
        minutes = (time.monotonic() - self._begun) / 60
        if limits.max_minutes is not None and minutes > limits.max_minutes:
            return "max_minutes"
        return ""

    def _cost(self, used_input: int, used_output: int) -> float | None:
        one, two = self._limits.price_input, self._limits.price_output
        return (
            None
            if one is None or two is None
            else (used_input * one + used_output * two) / _MILLION
        )


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many: one for three bytes."""
    return len(text.encode("utf-8", "surrogatepass")) // 3 + 1


class KeptAnswers:
    """Answers on disk, by the content of the request; each is written when it arrives.

    Args:
        path: an SQLite file, created when absent.

    Raises:
        DataError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed(error) from None
        self._run("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL)")

    @staticmethod
    def key(*parts: str) -> bytes:
        """Return the key of an answer: a hash of the whole request."""
        content = json.dumps(parts).encode()
        return hashlib.blake2b(content, digest_size=20).digest()

    def get(self, key: bytes) -> str | None:
        """Return the answer of a key, or None."""
        row = self._run("SELECT answer FROM answers WHERE key = ?", key)
        return None if row is None else str(row[0])

    def put(self, key: bytes, answer: str) -> None:
        """Keep an answer."""
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?)", key, answer)

    def _run(self, statement: str, *values: object) -> tuple[object, ...] | None:
        """Run a statement on a connection of its own, and return the first row."""
        try:
            with closing(sqlite3.connect(self._path, timeout=60)) as kept, kept:
                row: tuple[object, ...] | None = kept.execute(statement, values).fetchone()
                return row
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> DataError:
        return DataError(
            f"the answers of the language model cannot be kept ({error})",
            value=str(self._path),
            remedy="Make its folder writable.",
        )
