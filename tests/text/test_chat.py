"""Language models behind an endpoint, on a small server of the same protocol."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from chat_server import chat_server, reply
from pydantic import SecretStr

from kgrec.config import Settings
from kgrec.errors import ConfigError, DataError, ModelError
from kgrec.text.language_model import ChatEndpoint, Message, language_model, paraphrased

SECRET = "sk-very-secret"
HELLO = [Message(role="user", content="Hello")]


def test_messages_go_out_and_the_answer_comes_back() -> None:
    with chat_server(lambda body: reply(f" you wrote {body['messages'][0]['content']} ")) as server:
        endpoint = ChatEndpoint(f"{server.url}/", "tiny", SecretStr(SECRET), max_tokens=7)
        assert endpoint.complete(HELLO) == "you wrote Hello"
    assert server.keys == [f"Bearer {SECRET}"]
    body = server.requests[0]
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert (body["model"], body["max_tokens"]) == ("tiny", 7)
    assert endpoint.name == "127.0.0.1/tiny"


def test_a_failure_that_passes_is_tried_again() -> None:
    with chat_server(lambda body: reply("now")) as server:
        server.failures += [(503, {}), (429, {"Retry-After": "0"})]
        endpoint = ChatEndpoint(server.url, "tiny", pause=0.01)
        assert endpoint.complete(HELLO) == "now"
    assert len(server.requests) == 3
    assert server.keys == [None] * 3


def test_the_pause_is_the_one_that_the_server_asks_for() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    with chat_server(lambda body: reply("now")) as server:
        server.failures += [(429, {"Retry-After": "1"}), (503, {"Retry-After": soon})]
        endpoint = ChatEndpoint(server.url, "tiny", pause=0.001)
        begun = time.monotonic()
        assert endpoint.complete(HELLO) == "now"
        assert 1.0 <= time.monotonic() - begun < 10.0


def test_a_pause_beyond_the_limit_is_not_waited_for() -> None:
    with chat_server(lambda body: reply("never")) as server:
        server.failures += [(429, {"Retry-After": "3600"})]
        begun = time.monotonic()
        with pytest.raises(ModelError, match="status 429"):
            ChatEndpoint(server.url, "tiny", total=5.0).complete(HELLO)
        assert time.monotonic() - begun < 5.0
    assert len(server.requests) == 1


def test_an_answer_that_trickles_is_given_up() -> None:
    def trickle(body: dict[str, Any]) -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.1)
            yield b" "

    with chat_server(trickle) as server:
        begun = time.monotonic()
        with pytest.raises(ModelError, match=r"longer than 0\.5 seconds"):
            ChatEndpoint(server.url, "tiny", timeout=0.5).complete(HELLO)
        assert time.monotonic() - begun < 5.0


def test_a_refusal_is_an_error_at_once_that_keeps_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with chat_server(lambda body: reply("never")) as server:
        server.failures += [(401, {})]
        endpoint = ChatEndpoint(server.url, "tiny", SecretStr(SECRET), pause=0.01)
        with pytest.raises(ModelError, match="status 401") as caught:
            endpoint.complete(HELLO)
        server.failures += [(500, {})] * 3
        with pytest.raises(ModelError, match="status 500"):
            endpoint.complete(HELLO)
    assert len(server.requests) == 4
    assert SECRET not in f"{caught.value} {caplog.text} {endpoint!r} {vars(endpoint)}"


def test_the_key_follows_no_redirect() -> None:
    with chat_server(lambda body: reply("elsewhere")) as other, chat_server(reply) as server:
        server.failures += [(307, {"Location": f"{other.url}/chat/completions"})]
        with pytest.raises(ModelError, match="status 307"):
            ChatEndpoint(server.url, "tiny", SecretStr(SECRET)).complete(HELLO)
    assert other.requests == []


@pytest.mark.parametrize("answer", [{}, {"choices": []}, reply(""), reply("  "), [1]])
def test_an_answer_without_content_is_an_error(answer: object) -> None:
    with (
        chat_server(lambda body: answer) as server,
        pytest.raises(ModelError, match="no content"),
    ):
        ChatEndpoint(server.url, "tiny").complete(HELLO)


def test_nobody_there_is_an_error() -> None:
    with chat_server(reply) as server:
        url = server.url
    with pytest.raises(ModelError, match="does not answer"):
        ChatEndpoint(url, "tiny", attempts=2, pause=0.01).complete(HELLO)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:80", ""])
def test_an_address_that_is_not_an_http_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="not an HTTP URL"):
        ChatEndpoint(url, "tiny")


def test_the_settings_name_the_model() -> None:
    assert language_model(Settings(llm_url=None)) is None
    with pytest.raises(ConfigError, match="no name"):
        language_model(Settings(llm_url="http://host/v1", llm_model=None))
    settings = Settings(llm_url="http://host/v1", llm_model="m", llm_key=SecretStr(SECRET))
    model = language_model(settings)
    assert model is not None
    assert model.name == "host/m"
    assert SECRET not in repr(settings)


def test_a_text_is_paraphrased_once(tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "paraphrases.sqlite"
    texts = ["A shark attacks.", "Two lovers meet.", "A shark attacks.", " "]
    with chat_server(lambda body: reply(f"In short: {body['messages'][1]['content']}")) as server:
        endpoint = ChatEndpoint(server.url, "tiny")
        first = paraphrased(texts[:1], endpoint, 2, cache)
        again = paraphrased(texts, endpoint, 2, cache)
    assert first == {"A shark attacks.": ["In short: A shark attacks."] * 2}
    assert list(again) == ["A shark attacks.", "Two lovers meet."]
    assert len(server.requests) == 4
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(DataError, match="cannot be kept"):
        paraphrased(texts, endpoint, 1, blocked / "paraphrases.sqlite")
