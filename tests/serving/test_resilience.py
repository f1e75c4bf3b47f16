"""The graph comes and goes, models are exchanged, many ask at once: the server stays."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from planted import plant, user_id
from servers import served, train

from kgrec.config import Settings
from kgrec.errors import GraphUnavailableError, KGRecError
from kgrec.graph import open_graph
from kgrec.graph.embedded import running
from kgrec.graph.home import GraphHome, free_ports
from kgrec.graph.processes import is_held
from kgrec.serving.config import ServingConfig
from kgrec.serving.service import Service

PATH = f"/v1/users/{user_id(1)}/recommendations?k=5"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Settings]:
    """A home of its own with a planted graph and a live model; its server may be killed."""
    with tempfile.TemporaryDirectory(prefix="kgrec-own-") as folder:
        settings = Settings(home=Path(folder), graph_uri=None)
        with open_graph(settings) as store:
            plant(store)
            train(store, settings.home / "models", "first")
        yield settings


def test_the_answer_is_the_same_for_many_at_once(api: httpx.Client) -> None:
    users = [user_id(n) for n in range(20)] * 3

    def ask(user: str) -> str:
        found = api.get(f"/v1/users/{user}/recommendations?k=5").json()
        return json.dumps(found["items"])

    alone = {user: ask(user) for user in set(users)}
    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(ask, users))
    assert together == [alone[user] for user in users]


def test_the_model_is_loaded_before_anybody_asks(own: Settings) -> None:
    service = Service(own, time_limit_s=20)
    try:
        service.prepare()
        (own.home / "models" / "first").rename(own.home / "elsewhere")
        assert service.open().recommender.recommend(user_id(1), k=3).items
    finally:
        service.close()


def test_the_connection_is_not_closed_under_a_request(own: Settings) -> None:
    service = Service(own, time_limit_s=20)
    with ThreadPoolExecutor(1) as pool:
        with service.lease() as engine:
            closing = pool.submit(service.close)
            time.sleep(0.3)
            assert not closing.done()
            assert engine.recommender.recommend(user_id(1), k=3).items
        closing.result(30)
    with pytest.raises(KGRecError):
        engine.store.read("recommend/live_model")
    with service.lease() as fresh:  # and another one opens when it is wanted
        assert fresh is not engine
        assert fresh.recommender.recommend(user_id(1), k=3).items
    service.close()


def test_a_server_without_a_graph_starts_all_the_same(tmp_path: Path) -> None:
    nowhere = Settings(home=tmp_path, graph_uri="bolt://127.0.0.1:1")
    with served(nowhere, ServingConfig(time_limit_s=2)) as url:
        assert httpx.get(url + PATH, timeout=30).status_code == 503


def test_a_killed_graph_is_awaited_or_503_and_comes_back(own: Settings) -> None:
    with served(own, ServingConfig(time_limit_s=20)) as url, httpx.Client(timeout=30) as client:
        before = client.get(url + PATH).json()["items"]
        state = GraphHome.below(own.home).read_state()
        assert state is not None
        os.kill(state.supervisor, signal.SIGKILL)
        os.kill(state.pid, signal.SIGKILL)
        away = client.get(url + PATH)
        assert away.status_code in (200, 503)  # where it is back within the time of the retries
        if away.status_code == 503:
            assert away.headers["retry-after"] == "1"
            assert str(state.bolt_port) not in away.text
        assert client.get(f"{url}/healthz").status_code == 200
        deadline = time.monotonic() + 60
        while (again := client.get(url + PATH)).status_code != 200:
            assert again.status_code in (503, 504)
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert again.json()["items"] == before


def test_a_graph_that_somebody_else_started_again_is_found(own: Settings) -> None:
    with served(own, ServingConfig(time_limit_s=20)) as url, httpx.Client(timeout=30) as client:
        before = client.get(url + PATH).json()["items"]
        state = GraphHome.below(own.home).read_state()
        assert state is not None
        os.kill(state.supervisor, signal.SIGKILL)
        os.kill(state.pid, signal.SIGKILL)
        while is_held(GraphHome.below(own.home).supervisor_lock) or running(own.home):
            time.sleep(0.05)
        with open_graph(own):
            deadline = time.monotonic() + 60
            while (again := client.get(url + PATH)).status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert again.json()["items"] == before


def test_a_database_that_was_killed_is_found_again_by_the_same_engine(own: Settings) -> None:
    """A kill of the database alone, and of its supervisor as well: nothing is loaded anew."""
    service = Service(own, time_limit_s=30)
    try:
        with service.lease() as engine:
            before = engine.recommender.recommend(user_id(1), k=3).items
        place = GraphHome.below(own.home)
        for victims in (("pid",), ("supervisor", "pid")):
            state = place.read_state()
            assert state is not None
            for victim in victims:
                os.kill(getattr(state, victim), signal.SIGKILL)
            deadline = time.monotonic() + 90
            while True:
                try:
                    with service.lease() as again:
                        assert again is engine
                        assert again.recommender.recommend(user_id(1), k=3).items == before
                    break
                except GraphUnavailableError:
                    service.look_again()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert place.read_state() != state
    finally:
        service.close()


def test_a_new_model_is_served_without_a_restart(own: Settings) -> None:
    with served(own) as url, open_graph(own) as store:
        assert httpx.get(f"{url}/v1/model").json()["model_id"] == "first"
        train(store, own.home / "models", "second")
        assert httpx.get(f"{url}/v1/model").json()["model_id"] == "second"
        assert httpx.get(url + PATH).json()["model_id"] == "second"


def test_a_graph_that_is_not_there_is_503_at_once() -> None:
    nowhere = Settings(graph_uri=f"bolt://127.0.0.1:{free_ports(1)[0]}", graph_user="neo4j")
    with served(nowhere, ServingConfig(time_limit_s=6)) as url:
        for path in ("/readyz", PATH, "/v1/items"):
            answer = httpx.get(url + path, timeout=20)
            assert answer.status_code == 503
            assert answer.json()["what"]
            assert "127.0.0.1:" not in answer.text
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_graph_without_a_model_is_not_ready_and_says_what_to_do() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="kgrec-own-") as folder,
        served(Settings(home=Path(folder), graph_uri=None), ServingConfig(time_limit_s=90)) as url,
    ):
        answer = httpx.get(f"{url}/readyz", timeout=100)
        assert answer.status_code == 503
        assert "kgrec publish" in answer.json()["remedy"]


def test_settings_of_no_use_are_the_servers_fault_and_stay_with_it() -> None:
    wrong = Settings(graph_uri="ftp://somebody:hidden@127.0.0.1:1")
    with served(wrong) as url:
        for path in ("/readyz", "/v1/items"):
            answer = httpx.get(url + path, timeout=20)
            assert answer.status_code == 503
            assert "hidden" not in answer.text
            assert "ftp" not in answer.text


def test_a_model_of_a_domain_that_is_gone_is_the_servers_fault(own: Settings) -> None:
    config = own.home / "models" / "first" / "config.json"
    with served(own) as url:
        text = config.read_text()
        foreign = json.loads(text)
        foreign["config"]["selection"] = {"domain": "no-such-domain"}
        config.write_text(json.dumps(foreign))
        answer = httpx.get(url + PATH, timeout=30)
        assert answer.status_code == 503
        assert "no-such-domain" not in answer.text
        config.write_text(text)
        assert httpx.get(url + PATH, timeout=30).status_code == 200
