"""Language models that answer messages: one interface, and the endpoint that speaks for any server.

The endpoint speaks the protocol of OpenAI's chat completions, which vLLM, llama.cpp, Ollama and
most hosted models understand. Address, model and key come from `KGREC_LLM_URL`, `KGREC_LLM_MODEL`
and `KGREC_LLM_KEY`.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from kgrec.config import FrozenModel, Settings
from kgrec.errors import ConfigError, ModelError

logger = logging.getLogger(__name__)

_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504})


class Message(FrozenModel):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class LanguageModel(Protocol):
    """Anything that answers messages."""

    @property
    def name(self) -> str:
        """What tells its answers from those of others, without secrets."""

    def complete(self, messages: Sequence[Message]) -> str:
        """Return the answer; raises ModelError where there is none."""


class ChatEndpoint:
    """A server that speaks the chat-completions protocol.

    Args:
        url: its base, such as `https://api.example.com/v1`.
        model: the model it shall answer with.
        key: sent as a bearer token; never logged or shown.
        timeout: seconds that an answer may take.
        attempts: how often a request is made that fails for a reason that passes.
        temperature, max_tokens: of the answer.

    Raises:
        ConfigError: the address is none of HTTP.
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
        self._timeout, self._attempts, self._pause = timeout, attempts, pause
        self._options = {"temperature": temperature, "max_tokens": max_tokens}
        self._opener = urllib.request.build_opener(_NoRedirect)

    @property
    def name(self) -> str:
        """Host and model."""
        return f"{self._host}/{self._model}"

    def complete(self, messages: Sequence[Message]) -> str:
        """Return the answer to the messages.

        Raises:
            ModelError: the server refuses, fails, or answers something else.
        """
        turns = [message.model_dump() for message in messages]
        body = json.dumps({"model": self._model, "messages": turns, **self._options}).encode()
        for attempt in range(1, self._attempts + 1):
            try:
                return self._answer(body)
            except _PassingError as error:
                if attempt == self._attempts:
                    raise self._failed(error.reason) from None
                logger.info("%s: %s; asked again", self.name, error.reason)
                time.sleep(min(error.after or self._pause * 2 ** (attempt - 1), 30.0))
        raise AssertionError("the last attempt answers or raises")

    def _answer(self, body: bytes) -> str:
        headers = {"Content-Type": "application/json", "User-Agent": "kgrec"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310 - checked above
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                said: Any = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                after = error.headers.get("Retry-After", "")
            if error.code in _RETRIED:
                raise _PassingError(f"status {error.code}", after) from None
            raise self._failed(f"status {error.code}") from None
        except (urllib.error.URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise _PassingError(str(reason) or type(error).__name__) from None
        except ValueError:
            raise self._failed("the answer is no JSON") from None
        return self._content(said)

    def _content(self, said: Any) -> str:
        try:
            content = said["choices"][0]["message"]["content"]
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


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would carry the key to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _PassingError(Exception):
    """A failure that another attempt may not meet."""

    def __init__(self, reason: str, after: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = float(after) if after.isdigit() else 0.0


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
