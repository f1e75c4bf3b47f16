"""A language model as a component: one request for each text, and only what the text bears out.

Each text is a request of its own, and the id of its item never reaches the model, so what a text
demands can change no other item's facts.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.schema import Domain
from kgrec.text.language_model import ChatEndpoint, NoAnswer
from kgrec.text.pipeline import ItemText, TextFact, pieces
from kgrec.text.sources.fusion import TextFinding
from kgrec.text.sources.grounding import Piece, facts_in, grounded
from kgrec.text.sources.prompt import ReadingPrompt
from kgrec.text.sources.spending import (
    KeptAnswers,
    Spending,
    SpendingLimits,
    estimated_tokens,
)

logger = logging.getLogger(__name__)

MALFORMED = "malformed answer"
_FAILURES = 5
"""Requests that fail one after another, after which the model counts as gone."""


class PromptSettings(SpendingLimits):
    """How a language model reads texts.

    Attributes:
        parallel: requests at once.
        timeout: seconds that one attempt may take.
        attempts: how often a request is made that fails for a reason that passes, and a text is
            given to the model whose answer is malformed.
        json_schema: whether the server is to hold answers to a JSON schema; some cannot.
        confidence: of the facts of an endpoint.
        local: a causal language model that runs on this machine, in place of an endpoint: folder,
            installed package or hub id.
        least: how likely a span must be to the local model, beside `none` and other relations.
        local_confidence: of the facts of the local model.
    """

    parallel: int = Field(default=4, ge=1, le=64)
    timeout: float = Field(default=60.0, gt=0)
    attempts: int = Field(default=2, ge=1)
    json_schema: bool = True
    confidence: float = Field(default=0.8, gt=0, le=1)
    local: str | None = None
    least: float = Field(default=0.04, gt=0, lt=1)
    local_confidence: float = Field(default=0.65, gt=0, le=1)


class LanguageModelUse(FrozenModel):
    """What a language model did in one run, and what it cost.

    Attributes:
        requests: answers that came; without those from the cache.
        cached: answers from the cache, which cost nothing.
        cost: in the currency of the prices, None without them.
        kept: facts that the texts bear out.
        dropped: facts that they do not, by reason.
        failed: texts without a usable answer, by reason.
        unread: texts that were not sent, since a limit was reached.
        limit: that limit, empty where none was.
    """

    model: str
    requests: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    kept: int = 0
    dropped: dict[str, int] = Field(default_factory=dict)
    failed: dict[str, int] = Field(default_factory=dict)
    unread: int = 0
    limit: str = ""


@runtime_checkable
class UsesLanguageModel(Protocol):
    """A component that reads by a language model."""

    @property
    def use(self) -> LanguageModelUse:
        """What it did so far."""


class PromptedFacts:
    """Finds facts by a language model behind an endpoint.

    Args:
        endpoint: where it is.
        cache: file of all answers, by model, prompt and text.
    """

    name = "language_model"

    def __init__(
        self, domain: Domain, endpoint: ChatEndpoint, settings: PromptSettings, cache: Path
    ) -> None:
        self._endpoint, self._settings = endpoint, settings
        self._prompt = ReadingPrompt(domain)
        self._answers = KeptAnswers(cache)
        self._spending = Spending(settings)
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._gone: NoAnswer | None = None
        self._counts: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        parts = f"{endpoint.name}\0{self._prompt.digest}\0{settings.confidence}"
        self.version = hashlib.blake2b(parts.encode(), digest_size=6).hexdigest()

    def find(self, items: Sequence[ItemText]) -> list[TextFinding]:
        """Return what each text states; one that could not be sent is incomplete.

        Raises:
            ModelError: the server refuses, or fails for several texts in a row.
        """
        parts = [
            Piece(item, start, item.text[start:end])
            for item in items
            for start, end in pieces(item.text)
            if item.text[start:end].strip()
        ]
        keys: dict[bytes, Piece] = {}
        for piece in parts:
            keys.setdefault(self._key(piece), piece)
        with ThreadPoolExecutor(self._settings.parallel) as pool:
            answers = dict(zip(keys, pool.map(self._read, keys, keys.values()), strict=True))
        found: dict[str, TextFinding] = defaultdict(lambda: TextFinding([]))
        for piece in parts:
            facts, complete, _ = found[piece.item.item_id]
            content = answers[self._key(piece)]
            facts = [*facts, *self._grounded(piece, content or "")]
            found[piece.item.item_id] = TextFinding(facts, complete and content is not None)
        return [found[item.item_id] for item in items]

    @property
    def use(self) -> LanguageModelUse:
        """What it did so far."""
        return LanguageModelUse(
            model=self._endpoint.name,
            requests=self._counts["requests"],
            cached=self._counts["cached"],
            input_tokens=self._spending.input_tokens,
            output_tokens=self._spending.output_tokens,
            cost=self._spending.cost,
            kept=self._counts["kept"],
            dropped=dict(self._dropped.most_common()),
            failed=dict(self._failed.most_common()),
            unread=self._counts["unread"],
            limit=self._spending.reached,
        )

    def _key(self, piece: Piece) -> bytes:
        name, digest = self._endpoint.name, self._prompt.digest
        return KeptAnswers.key(name, digest, piece.item.title, piece.text)

    def _grounded(self, piece: Piece, content: str) -> list[TextFact]:
        facts = grounded(
            facts_in(content) or [],
            piece,
            self._prompt,
            self._dropped,
            confidence=self._settings.confidence,
            extractor=f"{self.name}/{self._endpoint.name}",
            version=self.version,
        )
        kept = list(facts)
        self._counts["kept"] += len(kept)
        return kept

    def _read(self, key: bytes, piece: Piece) -> str | None:
        """Return the answer for a piece; None where it was not sent or none came.

        An answer that stays malformed is empty, since the next run would hardly get another.
        """
        kept = self._answers.get(key)
        if kept is not None:
            self._count("cached")
            return kept
        messages = self._prompt.messages(piece.item.title, piece.text)
        schema = self._prompt.schema if self._settings.json_schema else None
        shown = "".join(one.content for one in messages) + (str(schema) if schema else "")
        tokens = estimated_tokens(shown)
        for _ in range(self._settings.attempts):
            if not self._spending.reserve(tokens):
                self._count("unread")
                return None
            answer = None
            try:
                if self._gone is not None:
                    raise self._gone
                answer = self._endpoint.answer(messages, schema)
            except NoAnswer as error:
                self._fail(error)
                return None
            finally:
                self._spending.settle(tokens, answer)
            self._count("requests")
            if facts_in(answer.content) is not None:
                self._answers.put(key, answer.content)
                return answer.content
        with self._lock:
            self._failed[MALFORMED] += 1
        return ""

    def _count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1
            if what == "requests":
                self._in_a_row = 0

    def _fail(self, error: NoAnswer) -> None:
        with self._lock:
            self._failed[error.reason] += 1
            self._in_a_row += 1
            if error.refused or self._in_a_row >= _FAILURES:
                self._gone = error
        if self._gone is not None:
            raise error
        logger.info("a text got no answer (%s)", error.reason)
