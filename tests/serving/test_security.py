"""Keys and roles, who may ask, and what every answer carries."""

from __future__ import annotations

import logging
from collections.abc import Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import item_id, user_id

from kgrec.config import Settings
from kgrec.errors import ConfigError
from kgrec.serving.keys import KeyRing, check_address
from kgrec.serving.security import CONTENT_SECURITY_POLICY, Role, is_loopback
from kgrec.serving.server import serve

Locked = Callable[[str | None], httpx.Client]
READ = f"/v1/users/{user_id(1)}/recommendations?k=1"
WRITE = {"user_id": "role-test", "item_id": item_id(1), "kind": "view"}

keys = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=",:"), min_size=1
)


@given(st.dictionaries(keys, st.sampled_from(list(Role)), min_size=1, max_size=6), keys)
def test_a_ring_knows_its_keys_and_no_other(pairs: dict[str, Role], other: str) -> None:
    ring = KeyRing.parse(",".join(f" {role.name.lower()}:{key}" for key, role in pairs.items()))
    assert {key: ring.role(key) for key in pairs} == pairs
    assert ring.role(other) == pairs.get(other)


@pytest.mark.parametrize("text", ["secret", "root:secret", "read:", ":secret", "read:a,write:a"])
def test_keys_of_no_use_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        KeyRing.parse(text)
    assert "secret" not in str(caught.value)
    assert "read:KEY1" in str(caught.value) or "key of its own" in str(caught.value)


def test_a_colon_may_be_part_of_a_key() -> None:
    assert KeyRing.parse("admin:a:b").role("a:b") is Role.ADMIN


def test_without_keys_only_this_machine_is_listened_on(settings: Settings) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(ConfigError, match="KGREC_API_KEYS"):
            serve(settings, host, 0)
        with pytest.raises(ConfigError, match="can be guessed"):
            check_address(host, KeyRing.parse("admin:0123456789abcdef,read:a"))
        check_address(host, KeyRing.parse("read:0123456789abcdef"))
    for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"):
        assert is_loopback(host)
        check_address(host, KeyRing())


@pytest.mark.parametrize("key", [None, "wrong", "reader-key-", "é"])
def test_without_a_known_key_nothing_is_told(locked: Locked, key: str | None) -> None:
    headers = {"X-API-Key": key.encode()} if key else {}
    answer = locked(None).get(READ, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "X-API-Key" in answer.json()["remedy"]


def test_a_role_allows_what_the_lower_ones_do(locked: Locked) -> None:
    reader, writer, admin = (locked(f"{name}-key") for name in ("reader", "writer", "admin"))
    assert [one.get(READ).status_code for one in (reader, writer, admin)] == [200] * 3
    sent = [one.post("/v1/feedback", json=WRITE).status_code for one in (reader, writer, admin)]
    assert sent == [403, 201, 201]
    erased = [one.delete("/v1/users/role-test").status_code for one in (reader, writer, admin)]
    assert erased == [403, 403, 204]
    refused = reader.post("/v1/feedback", json=WRITE).json()
    assert refused["value"] == "read"
    assert "write" in refused["remedy"]


def test_the_other_header_works_too(locked: Locked) -> None:
    assert locked(None).get(READ, headers={"X-API-Key": "reader-key"}).status_code == 200


def test_page_health_and_description_need_no_key(locked: Locked) -> None:
    for path in ("/", "/static/app.js", "/healthz", "/readyz", "/openapi.json"):
        assert locked(None).get(path).status_code == 200, path


def test_only_a_key_tells_which_model_serves(locked: Locked) -> None:
    assert "serving" not in locked(None).get("/readyz").text
    assert locked(None).get("/v1/model").status_code == 401
    assert locked("reader-key").get("/v1/model").json()["model_id"] == "serving"


def test_keys_appear_in_no_log_and_no_answer(
    locked: Locked, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client = locked("writer-key")
        bodies = [
            client.get("/v1/nothing").text,
            client.get("/v1/users?limit=x").text,
            client.delete("/v1/users/x").text,
            locked("writer-kez").get(READ).text,
        ]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("kgrec")]
    for text in [*bodies, *ours]:
        assert "writer-ke" not in text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "10.0.0.1", "", "127.0.0.1.nip.io"]
)
def test_a_name_that_was_made_to_point_here_is_refused(api: httpx.Client, host: str) -> None:
    answer = api.get("/v1/users", headers={"Host": host})
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/users", "/v1/nothing", "/static/app.js"])
def test_every_answer_carries_the_headers(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "server" not in answer.headers or "uvicorn" in answer.headers["server"]
    stored = "no-store" if path in ("/healthz", "/v1/users", "/v1/nothing") else "no-cache"
    assert answer.headers["cache-control"] == stored


def test_other_origins_are_given_nothing(api: httpx.Client) -> None:
    origin = {"Origin": "https://evil.example"}
    assert "access-control-allow-origin" not in api.get("/v1/users", headers=origin).headers
    asked = {**origin, "Access-Control-Request-Method": "DELETE"}
    preflight = api.request("OPTIONS", "/v1/users/x", headers=asked)
    assert preflight.status_code == 405
    assert "access-control-allow-origin" not in preflight.headers


def test_the_policy_names_no_other_origin() -> None:
    assert "http" not in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "*" not in CONTENT_SECURITY_POLICY
