"""Language models that answer messages: one interface, and a client for any server.

The client uses the protocol of OpenAI's chat completions, which vLLM, llama.cpp, Ollama and most
hosted models support. Address, model and key come from `KGREC_LLM_URL`, `KGREC_LLM_MODEL` and
`KGREC_LLM_KEY`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from kgrec.config import FrozenModel, Settings
from kgrec.errors import ConfigError, ModelError
from kgrec.http_client import HttpFailure, RequestLimits, request


class Message(FrozenModel):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


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
        attempts: how often a request is made that fails for a reason that passes.
        pause: seconds before the second attempt, doubled for each later one; a server's
            `Retry-After` goes before it.
        total: seconds after which no further attempt begins.
        temperature, max_tokens: of the answer.

    Raises:
        ConfigError: the address is not one of HTTP.
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
                "the address of the language model is none of HTTP",
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
            ModelError: the server refuses, fails, or answers something else.
        """
        headers = {"User-Agent": "kgrec"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        turns = [message.model_dump() for message in messages]
        body = {"model": self._model, "messages": turns, **self._options}
        try:
            content = request("POST", self._url, limits=self._limits, headers=headers, json=body)
        except HttpFailure as failure:
            raise self._failed(failure.reason) from None
        try:
            return self._content(json.loads(content))
        except ValueError:
            raise self._failed("the answer is no JSON") from None

    def _content(self, answer: Any) -> str:
        try:
            content = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            content = None
        if not isinstance(content, str) or not content.strip():
            raise self._failed("the answer has no content")
        return content.strip()

    def _failed(self, reason: str) -> ModelError:
        return ModelError(
            f"the language model does not answer ({reason})",
            value=self.name,
            remedy="Check KGREC_LLM_URL, KGREC_LLM_MODEL and KGREC_LLM_KEY.",
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
            "a language model is addressed but not named",
            value="KGREC_LLM_URL",
            remedy="Set KGREC_LLM_MODEL, or unset KGREC_LLM_URL.",
        )
    return ChatEndpoint(settings.llm_url, settings.llm_model, settings.llm_key)
