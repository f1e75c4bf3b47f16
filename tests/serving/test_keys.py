"""Stored keys: hashed, rotated, revoked and counted, by servers that run meanwhile."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import httpx
import pytest
from servers import served

from kgrec.cli import main
from kgrec.config import Settings
from kgrec.errors import ConfigError, NotFoundError
from kgrec.serving.keys import KeyFile, KeyRing, check_address
from kgrec.serving.security import Role


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path)


@pytest.fixture
def away(tmp_path: Path) -> Settings:
    """A server that needs no graph: what is asked for is refused or not there."""
    return Settings(home=tmp_path, graph_uri="bolt://127.0.0.1:1")


def asked(url: str, key: str) -> int:
    """Ask for a path that is nowhere: 404 with a good key."""
    return httpx.get(f"{url}/v1/nothing", headers={"Authorization": f"Bearer {key}"}).status_code


def test_only_the_hash_is_stored_and_only_its_owner_reads_it(file: KeyFile) -> None:
    key, text = file.create(Role.WRITE, "shop", 50)
    stored = file.path.read_text()
    assert text not in stored
    assert text.rsplit("_", 1)[1] not in stored
    assert key.key_id in text
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert len({file.create(Role.READ)[1] for _ in range(5)}) == 5
    ring = KeyRing(file=KeyFile(file.path.parent))
    assert ring.role(text) is Role.WRITE
    assert ring.role(text[:-1]) is None
    assert ring.role("") is None


def test_a_rotated_key_may_stay_good_for_a_while(file: KeyFile) -> None:
    ring = KeyRing(file=file)
    key, first = file.create(Role.READ)
    _, second = file.rotate(key.key_id, grace_s=60)
    assert [ring.role(one) for one in (first, second)] == [Role.READ] * 2
    _, third = file.rotate(key.key_id)
    assert [ring.role(one) for one in (first, second, third)] == [None, None, Role.READ]
    file.revoke(key.key_id)
    assert ring.role(third) is None
    for change in (file.rotate, file.revoke):
        with pytest.raises(NotFoundError):
            change(key.key_id)


def test_a_server_that_runs_follows_the_file_and_never_falls_open(
    away: Settings, file: KeyFile
) -> None:
    key, text = file.create(Role.READ)
    with served(away) as url:
        assert asked(url, text) == 404
        _, new = file.rotate(key.key_id)
        assert [asked(url, one) for one in (text, new)] == [401, 404]
        file.revoke(key.key_id)
        assert asked(url, new) == 401
        file.path.write_text("{}x")
        assert asked(url, new) == 503
        file.path.unlink()
        assert asked(url, new) == 401


def test_a_key_that_is_made_later_closes_a_server_without_keys(
    away: Settings, file: KeyFile
) -> None:
    with served(away) as url:
        assert httpx.get(f"{url}/v1/nothing").status_code == 404
        _, text = file.create(Role.READ)
        assert httpx.get(f"{url}/v1/nothing").status_code == 401
        assert asked(url, text) == 404


def test_the_key_is_checked_before_the_body(away: Settings, file: KeyFile) -> None:
    file.create(Role.READ)
    with served(away) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"POST /v1/feedback HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n"
                b"Content-Type: application/json\r\n\r\n"
            )
            assert b" 401 " in connection.recv(200)


def test_a_key_has_a_rate_of_its_own(away: Settings, file: KeyFile) -> None:
    _, slow = file.create(Role.READ, rate=2)
    _, other = file.create(Role.READ, rate=None)
    with served(away) as url, httpx.Client(headers={"X-API-Key": slow}) as client:
        answers = [client.get(f"{url}/v1/nothing") for _ in range(12)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 4
        assert answers[0].status_code == 404
        assert refused[0].headers["retry-after"] == "1"
        assert refused[0].json()["remedy"]
        assert asked(url, other) == 404


def test_roles_allow_what_they_say() -> None:
    allowed = {role: {needed for needed in Role if role.allows(needed)} for role in Role}
    assert allowed == {
        Role.READ: {Role.READ},
        Role.WRITE: {Role.READ, Role.WRITE},
        Role.ANALYST: {Role.READ, Role.ANALYST},
        Role.ADMIN: set(Role),
    }


def test_a_stored_key_is_enough_for_a_public_address(away: Settings, file: KeyFile) -> None:
    with pytest.raises(ConfigError, match="kgrec keys create"):
        check_address("0.0.0.0", KeyRing.of(away))
    file.create(Role.READ)
    check_address("0.0.0.0", KeyRing.of(away))
    file.path.write_text("[]")
    with pytest.raises(ConfigError, match=r"keys\.json"):
        KeyRing.of(away)


def test_the_command_does_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KGREC_HOME", str(tmp_path))

    def kgrec(*args: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(["keys", *args])
        assert left.value.code in (0, None)
        return capsys.readouterr().out

    made = json.loads(kgrec("create", "--role", "analyst", "--name", "bi", "--json"))
    ring = KeyRing(file=KeyFile(tmp_path))
    assert ring.role(made["key"]) is Role.ANALYST
    assert made["key"] not in kgrec("list")
    [entry] = json.loads(kgrec("list", "--json"))
    assert (entry["name"], entry["role"], entry["rate"]) == ("bi", "analyst", 100.0)
    assert not {"digest", "old_digest", "key"} & entry.keys()
    turned = json.loads(kgrec("rotate", made["key_id"], "--grace", "1h", "--json"))
    assert ring.role(turned["key"]) is ring.role(made["key"]) is Role.ANALYST
    assert "revoked" in kgrec("revoke", made["key_id"])
    assert ring.role(turned["key"]) is None
    with pytest.raises(SystemExit) as left:
        main(["keys", "create", "--role", "root"])
    assert left.value.code == 2
