"""Language models: one interface, and a client for servers of chat completions.

The client uses the protocol of OpenAI's chat completions, which vLLM, llama.cpp, Ollama and most
hosted models support. Address, model and key come from `KGREC_LLM_URL`, `KGREC_LLM_MODEL` and
`KGREC_LLM_KEY`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from kgrec.config import FrozenModel, Settings
from kgrec.errors import ConfigError, DataError, ModelError
from kgrec.http_client import HttpFailure, RequestLimits, request
from kgrec.progress import SILENT, Progress


class Message(FrozenModel):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ModelAnswer(FrozenModel):
    """What a model answers, and the tokens that the server counted; None where it counted none."""

    content: str
    input_tokens: int | None = None
    output_tokens: int | None = None


class NoAnswer(ModelError):
    """A language model that does not answer.

    Attributes:
        reason: in words, without secrets.
        refused: whether it would refuse the next request too, as for a wrong key or name.
    """

    def __init__(self, reason: str, model: str, *, refused: bool = False) -> None:
        super().__init__(
            f"the language model does not answer ({reason})",
            value=model,
            remedy="Check KGREC_LLM_URL, KGREC_LLM_MODEL and KGREC_LLM_KEY.",
        )
        self.reason, self.refused = reason, refused


class LanguageModel(Protocol):
    """Anything that answers messages."""

    @property
    def name(self) -> str:
        """A name that distinguishes its answers from those of other models, without secrets."""

    def complete(self, messages: Sequence[Message]) -> str:
        """Return the answer; raises ModelError where there is none."""


class ChatEndpoint:
    """A server with the chat-completions protocol.

    Args:
        url: its base, such as `https://api.example.com/v1`.
        model: name of the model that answers.
        key: sent as a bearer token; never logged or shown.
        timeout: seconds that one attempt may take.
        attempts: how often a request is made while it fails for a transient reason.
        pause: seconds before the second attempt, doubled for each later one; a server's
            `Retry-After` takes precedence.
        total: seconds after which no further attempt begins.
        temperature, max_tokens: of the answer.

    Raises:
        ConfigError: the address is not an HTTP URL.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: SecretStr | None = None,
        *,
        timeout: float = 60.0,
        attempts: int = 3,
        pause: float = 1.0,
        total: float = 180.0,
        temperature: float = 0.7,
        max_tokens: int = 400,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                "the address of the language model is not an HTTP URL",
                value=parts.hostname or url,
                remedy="Give its base, such as https://api.example.com/v1.",
            )
        self._url = f"{url.rstrip('/')}/chat/completions"
        self._host, self._model, self._key = parts.hostname, model, key
        self._limits = RequestLimits(answer=timeout, attempts=attempts, pause=pause, total=total)
        self._options = {"temperature": temperature, "max_tokens": max_tokens}

    @property
    def name(self) -> str:
        """Host and model."""
        return f"{self._host}/{self._model}"

    def complete(self, messages: Sequence[Message]) -> str:
        """Return the answer to the messages.

        Raises:
            ModelError: the server refuses, fails, or returns a malformed answer.
        """
        return self.answer(messages).content

    def answer(
        self, messages: Sequence[Message], schema: Mapping[str, Any] | None = None
    ) -> ModelAnswer:
        """Return the answer to the messages, and the tokens it took.

        Args:
            schema: a JSON schema that the server is to hold the answer to.

        Raises:
            NoAnswer: the server refuses, fails, or returns a malformed answer.
        """
        headers = {"User-Agent": "kgrec"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        turns = [message.model_dump() for message in messages]
        body = {"model": self._model, "messages": turns, **self._options}
        if schema is not None:
            named = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        try:
            content = request("POST", self._url, limits=self._limits, headers=headers, json=body)
        except HttpFailure as failure:
            raise NoAnswer(failure.reason, self.name, refused=failure.refused) from None
        try:
            return self._read(json.loads(content))
        except ValueError:
            raise NoAnswer("the answer is not JSON", self.name) from None

    def _read(self, answer: Any) -> ModelAnswer:
        try:
            content = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            content = None
        if not isinstance(content, str) or not content.strip():
            raise NoAnswer("the answer has no content", self.name)
        usage = answer.get("usage")
        counts = usage if isinstance(usage, dict) else {}
        prompt_tokens, given = counts.get("prompt_tokens"), counts.get("completion_tokens")
        return ModelAnswer(
            content=content.strip(),
            input_tokens=prompt_tokens
            if isinstance(prompt_tokens, int) and prompt_tokens >= 0
            else None,
            output_tokens=given if isinstance(given, int) and given >= 0 else None,
        )


def language_model(settings: Settings) -> LanguageModel | None:
    """Return the language model of the settings, or None where none is set.

    Raises:
        ConfigError: there is an address without a model.
    """
    if settings.llm_url is None:
        return None
    if settings.llm_model is None:
        raise ConfigError(
            "the language model has an address but no name",
            value="KGREC_LLM_URL",
            remedy="Set KGREC_LLM_MODEL, or unset KGREC_LLM_URL.",
        )
    return ChatEndpoint(settings.llm_url, settings.llm_model, settings.llm_key)


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
        cache: file of all answers, created when absent; each answer is written when it arrives.

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
