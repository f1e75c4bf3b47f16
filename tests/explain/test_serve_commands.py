"""`kgrec publish`, `recommend`, `explain` and `export`, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from planted import Planted, item_id, planted, user_id

from kgrec.cli import main
from kgrec.graph.setup import count_graph
from kgrec.graph.store import GraphStore
from kgrec.model.storage import save_team
from kgrec.schema import load_schema

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def there(store: GraphStore, home: Path) -> Planted:
    """A planted graph whose model lies in the home that the commands use."""
    return planted(store, home / "models")


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the shared home; returns exit code, output and errors."""
    for name in ("KGREC_GRAPH_URI", "KGREC_GRAPH_USER", "KGREC_GRAPH_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KGREC_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(args)
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return call


def test_recommend(there: Planted, run: Run) -> None:
    code, text, _ = run("recommend", user_id(1), "-k", "3", "--json")
    found = json.loads(text)
    assert code == 0
    assert [item["rank"] for item in found["items"]] == [1, 2, 3]
    code, text, _ = run("recommend", user_id(1), "-k", "3")
    assert code == 0
    assert found["items"][0]["title"] in text
    assert found["items"][0]["reasons"][0]["words"] in text
    code, text, _ = run("recommend", user_id(1), "--filter", "genre=Drama", "--json")
    assert all(int(item["item_id"][1:]) % 4 == 0 for item in json.loads(text)["items"])
    code, text, _ = run("recommend", user_id(1), "--filter", "genre=Nothing")
    assert (code, "passes the filters." in text) == (0, True)
    code, text, _ = run("recommend", user_id(1), "--diversity", "0.8")
    assert "diversity: from" in text
    code, text, _ = run(
        "recommend", user_id(1), "--novelty", "0.8", "--quota", "director:1", "--json"
    )
    found = json.loads(text)
    assert {m["rule"] for item in found["items"] for m in item["moves"]} == {"novelty", "quota"}
    code, text, _ = run("recommend", user_id(1), "--cursor", found["cursor"], "--json")
    assert [item["rank"] for item in json.loads(text)["items"]] == list(range(11, 21))


def test_properties_of_the_items_are_shown(there: Planted, run: Run) -> None:
    code, text, _ = run("recommend", user_id(1), "-k", "3", "--show", "year", "--json")
    found = json.loads(text)
    years = [item["properties"]["year"] for item in found["items"]]
    assert code == 0
    assert all(isinstance(year, int) for year in years)
    code, text, _ = run("recommend", user_id(1), "-k", "3", "--show", "year")
    assert code == 0
    assert all(str(year) in text for year in years)
    code, text, _ = run("recommend", user_id(1), "--filter", "genre=Nothing", "--show", "year")
    assert (code, "No film that" in text) == (0, True)
    code, _, error = run("recommend", user_id(1), "--show", "nothing")
    assert code == 2
    assert "no item of the list has such a property" in error


def test_an_unknown_user_gets_popular_items_and_a_note(there: Planted, run: Run) -> None:
    code, text, error = run("recommend", "nobody")
    assert code == 0
    assert "popular" in text
    assert "There is no user 'nobody'" in error
    code, text, error = run("recommend", "nobody", "--json")
    assert (code, json.loads(text)["fallback"], error) == (0, "unknown_user", "")


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("u0001", "--write"),
        ("u0001", "--all", "--write"),
        ("--all",),
        ("u0001", "--filter", "colour=red"),
    ],
)
def test_wrong_use_of_recommend(there: Planted, run: Run, args: tuple[str, ...]) -> None:
    code, _, error = run("recommend", *args)
    assert code == 2
    assert "Traceback" not in error


def test_recommend_all(there: Planted, run: Run) -> None:
    code, text, _ = run("recommend", "--all", "--write", "-k", "4", "--json")
    assert code == 0
    assert json.loads(text)["written"] == 240
    relation = load_schema().relations.recommended
    assert count_graph(there.store).relations[relation] == 240
    assert "240 recommendations" in run("recommend", "--all", "--write", "-k", "4")[1]


def test_explain(there: Planted, run: Run) -> None:
    best = json.loads(run("recommend", user_id(1), "--json")[1])["items"][0]
    code, text, _ = run("explain", user_id(1), best["title"], "--json")
    found = json.loads(text)
    assert code == 0
    assert found["item_id"] == best["item_id"]
    assert found["score"] == pytest.approx(best["score"])
    code, text, _ = run("explain", user_id(1), best["item_id"])
    assert code == 0
    assert "contribution" in text
    assert f"{best['score']:+.4f}" in text


@pytest.mark.parametrize("args", [("nobody", item_id(0)), (user_id(0), "Nothing at all")])
def test_what_is_not_found_leaves_with_4(there: Planted, run: Run, args: tuple[str, str]) -> None:
    code, text, error = run("explain", *args)
    assert (code, text) == (4, "")
    assert "there is no such" in error


def test_publish_lists_and_switches(there: Planted, run: Run, home: Path) -> None:
    save_team(there.team, home / "models" / "second")
    code, text, _ = run("publish", "second", "--suggests", "5")
    assert code == 0
    assert "second is live: 160 items" in text
    assert "live already" in run("publish", "second", "--suggests", "5")[1]
    assert "written anew" in run("publish", "second")[1]
    entries = {
        entry["model_id"]: entry for entry in json.loads(run("publish", "--list", "--json")[1])
    }
    assert entries["second"]["live"]
    assert not entries["first"]["live"]
    assert "second" in run("publish", "--list")[1]
    assert json.loads(run("publish", "first", "--json")[1])["changed"]
    code, _, error = run("publish", "third")
    assert code == 4
    assert "Known:" in error


@pytest.mark.parametrize(
    ("form", "file"),
    [
        ("pyg", "graph.safetensors"),
        ("parquet", "INTERACTED.parquet"),
        ("graphml", ""),
        ("networkx", ""),
    ],
)
def test_export(there: Planted, run: Run, tmp_path: Path, form: str, file: str) -> None:
    place = tmp_path / form
    code, text, _ = run("export", str(place), "--format", form, "--json")
    assert code == 0
    assert json.loads(text)["rows"]
    assert (place / file).is_file()
    before = (place / file).read_bytes()
    code, _, error = run("export", str(place), "-f", form, "--domain", "movies")
    assert (code, "--force" in error, (place / file).read_bytes()) == (2, True, before)
    again = run("export", str(place), "-f", form, "--domain", "movies", "--force")
    assert (again[0], str(place) in again[1]) == (0, True)


def test_an_export_leaves_other_files_alone(there: Planted, run: Run, tmp_path: Path) -> None:
    catalogue = tmp_path / "films.csv"
    catalogue.write_text("item_id,title\n", encoding="utf-8")
    code, _, error = run("export", str(catalogue), "--format", "networkx")
    assert (code, str(catalogue) in error.replace("\n", "")) == (2, True)
    assert catalogue.read_text(encoding="utf-8") == "item_id,title\n"
    assert run("export", str(tmp_path), "--format", "parquet")[0] == 0
    assert catalogue.read_text(encoding="utf-8") == "item_id,title\n"


def test_export_of_no_such_domain(there: Planted, run: Run, tmp_path: Path) -> None:
    code, _, error = run("export", str(tmp_path), "--format", "pyg", "--domain", "cars")
    assert code == 2
    assert "no such domain" in error
