"""Lists are made before they are requested, while no request is under way, and are the same."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import httpx
import pytest
from servers import get, served

from kgrec.config import Settings
from kgrec.graph.store import GraphStore
from kgrec.model.team import Team
from kgrec.serving.ahead import QUIET_S, RequestingUsers
from kgrec.serving.config import ServingConfig
from tests.planted import user_id

_USERS = 6


def made(api: httpx.Client) -> int:
    """Return how many lists were made ahead; to ask counts as a request too."""
    [number] = re.findall(r"^kgrec_lists_ahead_total ([\d.e+]+)$", api.get("/metrics").text, re.M)
    return int(float(number))


def wait_for(number: int, api: httpx.Client) -> None:
    until = time.monotonic() + 30
    while made(api) < number:
        assert time.monotonic() < until, "no lists are made ahead"
        time.sleep(10 * QUIET_S)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often a history was read by the agents, in the threads that do so."""
    read, threads = Team.scorer, []

    def scorer(team: Team, *args: Any) -> Any:
        threads.append(threading.current_thread().name)
        return read(team, *args)

    monkeypatch.setattr(Team, "scorer", scorer)
    return threads


def test_a_list_that_was_made_ahead_is_the_list_of_the_user(
    team: Team, settings: Settings, store: GraphStore, counted: list[str]
) -> None:
    rows = store.read("recommend/active_users", limit=_USERS)
    users = [row["user_id"] for row in rows]
    assert len(users) == _USERS
    paths = [f"/v1/users/{user}/recommendations" for user in users]

    def lists(api: httpx.Client) -> list[Any]:
        return [[each["items"], each["history"]] for each in (get(api, path) for path in paths)]

    with served(settings, ServingConfig(ahead=0)) as url, httpx.Client(base_url=url) as api:
        expected = lists(api)
        assert made(api) == 0
    counted.clear()
    config = ServingConfig(ahead=_USERS)
    with served(settings, config) as url, httpx.Client(base_url=url, timeout=30) as api:
        wait_for(_USERS, api)
        assert counted.count("lists ahead") == _USERS
        read = len(counted)
        assert lists(api) == expected
        assert len(counted) == read
        time.sleep(10 * QUIET_S)
        assert made(api) == _USERS


def test_nothing_is_made_while_requests_are_under_way(
    team: Team, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = 1.0  # longer than a busy machine keeps one of these requests from being sent

    def request_for(seconds: float, api: httpx.Client) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            api.get("/healthz")
            api.get(f"/v1/users/{user_id(1)}/recommendations")

    config = ServingConfig(ahead=3)
    with served(settings, config) as url, httpx.Client(base_url=url, timeout=30) as api:
        with monkeypatch.context() as slower:
            slower.setattr("kgrec.serving.ahead.QUIET_S", quiet)
            request_for(quiet / 2, api)  # a list that was begun before may end
            first = made(api)
            request_for(2.5 * quiet, api)
            assert made(api) == first
        wait_for(3, api)


def test_who_requested_last_comes_first_and_is_forgotten_when_erased() -> None:
    users = RequestingUsers()
    for user in ("a", "b", "c", "a"):
        users.note(user)
    assert users.latest() == ["a", "c", "b"]
    users.forget("c")
    users.forget("nobody")
    assert users.latest() == ["a", "b"]
