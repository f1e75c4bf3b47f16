"""The API runs where `pip install 'kgrec[serve]'` ran: nothing that trains, reads texts or tables.

The packages of the other extras are there in the environment of the tests, so importing them is
made to fail in the processes that are tested.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from planted import Planted, planted, user_id
from started import started

from kgrec.errors import EXTRAS
from kgrec.graph.store import GraphStore

ROOT = Path(__file__).parents[1]
ABSENT = (
    *(name for name, extra in EXTRAS.items() if extra != "serve"),
    *("aiohttp", "huggingface_hub", "pandas", "sklearn", "thinc", "tokenizers", "peft", "mcp"),
)
BLOCK = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {set(ABSENT)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""
# What a server may import: what it answers with, and nothing that is only for other commands.
EXPECTED = {
    *("annotated_doc", "annotated_types", "anyio", "attr", "brotli", "certifi", "click"),
    *("dotenv", "fastapi", "h11", "httpcore2", "httptools", "httpx2", "idna", "kgrec"),
    *("markdown_it", "mdurl", "neo4j", "numpy", "opentelemetry", "prometheus_client", "psutil"),
    *("pydantic", "pydantic_core", "pydantic_settings", "pygments", "python_multipart", "pytz"),
    *("rich", "safetensors", "scipy", "shellingham", "sniffio", "starlette", "tenacity"),
    *("truststore", "typer", "typing_extensions", "typing_inspection", "uvicorn", "uvloop"),
    *("arcadedb_embedded", "charset_normalizer", "multipart", "platformdirs", "filelock"),
    *("websockets", "watchfiles", "yaml", "cython_runtime", "threadpoolctl", "cloudpickle"),
}


def environment(tmp_path: Path, home: Path) -> dict[str, str]:
    """Return an environment in which the packages of the other extras are absent."""
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KGREC_")}
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    return {**kept, "KGREC_HOME": str(home), "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def live(store: GraphStore, home: Path) -> Planted:
    return planted(store, home / "models", "light")


@pytest.fixture
def server(live: Planted, home: Path, tmp_path: Path) -> Iterator[str]:
    with started(environment=environment(tmp_path, home), errors=True) as (url, process):
        yield url
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_the_api_answers_without_the_packages_that_train(server: str) -> None:
    with httpx.Client(base_url=server, timeout=60) as client:

        def get(path: str, **query: Any) -> httpx.Response:
            answer = client.get(path, params=query or None)
            assert answer.status_code == 200, answer.text
            return answer

        assert get("/readyz").json()["ready"]
        listed = get(f"/v1/users/{user_id(1)}/recommendations", k=3).json()
        assert len(listed["items"]) == 3
        first = listed["items"][0]
        path = f"/v1/users/{user_id(1)}/recommendations/{first['item_id']}/explanation"
        why = get(path, request_id=listed["request_id"], counterfactual="true").json()
        assert why["score"] == first["score"]
        assert get(f"/v1/items/{first['item_id']}/similar").json()["items"]
        assert get("/v1/items", q="Film").json()["items"]
        assert "<html" in get("/").text
        assert "<html" in get("/docs").text
        assert get("/metrics").text
        like = {"user_id": user_id(1), "item_id": first["item_id"], "kind": "like"}
        assert client.post("/v1/feedback", json=like).is_success
        item = {"item_id": "light-1", "title": "New", "year": 1999}
        assert client.post("/v1/items", json=item).is_success
        assert client.delete("/v1/items/light-1").is_success


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["train"], "train"),
        (["evaluate", "FOLDER"], "train"),
        (["export", "OUT", "--format", "networkx"], "data"),
    ],
)
def test_what_is_missing_is_named_with_what_brings_it(
    live: Planted, home: Path, tmp_path: Path, arguments: list[str], extra: str
) -> None:
    places = {"FOLDER": str(tmp_path), "OUT": str(tmp_path / "out.json")}
    done = subprocess.run(
        [sys.executable, "-m", "kgrec", *(places.get(word, word) for word in arguments)],
        env=environment(tmp_path, home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"pip install 'kgrec[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_line_recommends_and_explains_there(
    live: Planted, home: Path, tmp_path: Path
) -> None:
    light = environment(tmp_path, home)
    command = [sys.executable, "-m", "kgrec"]
    done = subprocess.run(
        [*command, "recommend", user_id(2), "-k", "2", "--json"],
        env=light,
        capture_output=True,
        text=True,
        check=True,
    )
    item = json.loads(done.stdout)["items"][0]
    subprocess.run(
        [*command, "explain", user_id(2), item["item_id"]], env=light, check=True, text=True
    )


def test_the_server_imports_no_more_than_it_answers_with() -> None:
    """A bound on what starts with the server, so that a start stays short."""
    code = (
        "import json, sys; before = set(sys.modules)\n"
        "import kgrec.cli.serve, kgrec.serving.server\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    found = json.loads(done.stdout)
    packages = {name.partition(".")[0] for name in found}
    ours = {name.lstrip("_") for name in packages} - set(sys.stdlib_module_names)
    # The driver imports pyarrow and pandas where they are; they come with another extra.
    assert ours - EXPECTED - {"pyarrow", "pandas", "dateutil", "six"} - _private(packages) == set()
    # 150 until the readers of cells and of domain files became modules of their own, 175 until
    # tables came packed and from addresses, 180 until they were joined and workers shared out, 190
    # until facts were corrected and nodes merged.
    assert sum(name.startswith("kgrec.") for name in found) < 200
    for name in ("kgrec.learning", "kgrec.training", "kgrec.text.pipeline", "kgrec.text.encoder"):
        assert name not in found


def _private(packages: set[str]) -> set[str]:
    """Return names of single extension modules, which no installation lists."""
    return {name.lstrip("_") for name in packages if name.startswith("_")}


def test_the_extras_hold_what_the_errors_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {
        extra: {re.split(r"[<>=\[]", line)[0].replace("-", "_") for line in lines}
        for extra, lines in project["optional-dependencies"].items()
    }
    core = {re.split(r"[<>=\[]", line)[0].replace("-", "_") for line in project["dependencies"]}
    for package, extra in EXTRAS.items():
        assert package in extras[extra] or package == "starlette"
        assert package not in core
    assert project["optional-dependencies"]["all"] == ["kgrec[data,resolve,serve,text,train]"]
