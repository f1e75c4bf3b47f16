"""The same data give the same figures from the graph and from files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tastes import TASTES, WORDS, encode_words, tastes

from kgrec.cli.app import main
from kgrec.data.dataset import Dataset
from kgrec.data.protocols import Protocol, ProtocolConfig
from kgrec.data.selection import Selection
from kgrec.data.sources import Source
from kgrec.errors import ConfigError
from kgrec.evaluation.evaluate import EvaluateConfig, evaluate
from kgrec.evaluation.held_out import DataConfig, read_split
from kgrec.evaluation.result import EvaluationResult
from kgrec.graph.setup import clear_graph, ensure_schema
from kgrec.graph.store import GraphStore
from kgrec.learning.team_config import TeamConfig
from kgrec.stages.ingest import ingest, prepare

QUICK = {"embedding_dim": 16, "schedule": {"steps": 20, "check_from": 20}}
AGENTS = TeamConfig().agents
DIRECTORS = ("Ann Ash", "Ben Birch", "Cleo Cedar")
Rows = list[tuple[object, ...]]


def director(item: int) -> str:
    return DIRECTORS[item // TASTES % 3]


def tables() -> dict[str, Rows]:
    """The catalogue, its users and their ratings, each in an order of its own."""
    world = tastes()
    held = world.train.interactions.concat(world.valid, world.test)
    order = np.random.default_rng(1).permutation(len(held))
    ratings: Rows = [
        (f"u{u}", f"i{i}", 3 + (u + i) % 3, 1_500_000_000 + 3_600 * int(at))
        for u, i, at in zip(
            *(column[order].tolist() for column in (held.user, held.item, held.at)), strict=True
        )
    ]
    items: Rows = [
        (f"i{n}", f"Film {n}", f"A {WORDS[n % TASTES]} by {director(n)}", WORDS[n % TASTES])
        for n in reversed(range(world.train.num_items))
    ]
    users: Rows = [(f"u{n}", 20 + n % 50, "FM"[n % 2]) for n in range(world.train.num_users)]
    return {"ratings": ratings, "items": items, "users": users}


def write(path: Path, header: str, rows: Rows) -> None:
    lines = ["\t".join(map(str, row)) for row in rows]
    path.write_text("\n".join([header.replace(" ", "\t"), *lines]) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables as atomic files."""
    path, data = tmp_path_factory.mktemp("films"), tables()
    write(
        path / "f.inter",
        "user_id:token item_id:token rating:float timestamp:float",
        data["ratings"],
    )
    texts: Rows = [(item, title, text) for item, title, text, _ in data["items"]]
    write(path / "f.item", "item_id:token title:token_seq description:token_seq", texts)
    write(path / "f.user", "user_id:token age:float gender:token", data["users"])
    genres = {f"Genre:{word}": word for word in WORDS}
    people = {f"Person:{name.lower()}": name for name in DIRECTORS}
    facts: Rows = []
    for item, *_, word in data["items"]:
        facts.append((f"Item:{item}", "HAS_GENRE", f"Genre:{word}"))
        who = director(int(str(item)[1:])).lower()
        facts.append((f"Item:{item}", "DIRECTED_BY", f"Person:{who}"))
    write(path / "f.kg", "head_id:token relation_id:token tail_id:token", facts)
    links: Rows = [(item, f"Item:{item}") for item, *_ in data["items"]]
    write(path / "f.link", "item_id:token entity_id:token", links)
    named: Rows = list((genres | people).items())
    write(path / "f.entity", "entity_id:token name:token_seq", named)
    return path


def as_csv(path: Path, header: tuple[str, ...], rows: Rows) -> Path:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    path.write_text(text.getvalue())
    return path


@pytest.fixture
def graph(store: GraphStore, home: Path, tmp_path: Path) -> GraphStore:
    """The same tables in the embedded graph."""
    clear_graph(store)
    ensure_schema(store)
    data = tables()
    films: Rows = [(*row, director(int(str(row[0])[1:]))) for row in data["items"]]
    header = ("item_id", "title", "description", "genres", "director")
    sources = {
        "catalog": as_csv(tmp_path / "films.csv", header, films),
        "users": as_csv(tmp_path / "users.csv", ("user_id", "age", "gender"), data["users"]),
        "interactions": as_csv(
            tmp_path / "ratings.csv",
            ("user_id", "item_id", "rating", "timestamp"),
            data["ratings"],
        ),
    }
    for kind, path in sources.items():
        source = Source.model_validate({"kind": kind, "path": path})
        ingest(store, prepare(source, "movies", cache=home / "cache"), home=home)
    return store


def team(agents: Sequence[str] = AGENTS) -> TeamConfig:
    quick = {name: QUICK for name in agents if name in ("collaborative", "knowledge", "sequential")}
    return TeamConfig.model_validate({"agents": agents, "settings": quick})


def figures(result: EvaluationResult) -> dict[str, object]:
    """Everything that was measured and chosen, without seconds and the names of the data."""
    left_out = {"data", "seconds", "processor_seconds", "peak_memory"}
    whole = json.loads(result.model_dump_json(exclude=left_out))
    whole["ranking"].pop("seconds")
    if whole["among_cold"]:
        whole["among_cold"].pop("seconds")
    whole["team"].pop("seconds")
    return whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "agents"),
    [
        ("warm", AGENTS),
        ("temporal", ("linear", "semantic")),
        ("cold-item", AGENTS),
        ("cold-user", ("linear", "semantic")),
    ],
)
def test_every_figure_is_the_same(
    graph: GraphStore, folder: Path, name: Protocol, agents: Sequence[str]
) -> None:
    common = {"protocol": ProtocolConfig(name=name), "ks": (5, 10), "group": "gender"}
    files = EvaluateConfig(folder=folder, canonical=True, team=team(agents), **common)  # type: ignore[arg-type]
    of_graph = files.model_copy(update={"folder": None, "graph": Selection(domain="movies")})
    one = evaluate(files, encode=encode_words)
    two = evaluate(of_graph, store=graph, encode=encode_words)
    assert one.data != two.data
    assert one.ranking.users > 5
    assert set(one.team["weights"]) == set(agents)
    assert figures(one) == figures(two)


def test_the_command_prints_what_it_prints_for_files(
    graph: GraphStore,
    folder: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KGREC_HOME", str(home))
    monkeypatch.delenv("KGREC_GRAPH_URI", raising=False)
    shown = []
    for data in (["--graph", "--domain", "movies"], [str(folder), "--protocol", "warm"]):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *data, "--agents", "linear", "--k", "5", "--json"])
        assert not ended.value.code
        shown.append(json.loads(capsys.readouterr().out))
    assert [each["protocol"]["name"] for each in shown] == ["warm", "warm"]
    assert shown[0]["data"] == "graph, movies"
    for part in ("at", "lists"):
        assert shown[0]["ranking"][part] == shown[1]["ranking"][part]


def test_a_pipeline_names_domain_settings_and_what_counts(
    graph: GraphStore,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KGREC_HOME", str(home))
    monkeypatch.delenv("KGREC_GRAPH_URI", raising=False)
    pipeline = tmp_path / "mine.toml"
    pipeline.write_text(
        'name = "mine"\ndomain = "movies"\n'
        '[[sources]]\nkind = "catalog"\npath = "films.csv"\n'
        '[train]\nagents = ["linear"]\nat_least = { rating = 4 }\n'
    )
    with pytest.raises(SystemExit):
        main(["evaluate", "--graph", "--pipeline", str(pipeline), "--k", "5", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert list(shown["team"]["weights"]) == ["linear"]
    counted = sum(shown["counts"][part] for part in ("train", "valid", "test"))
    assert counted == sum(rating >= 4 for _, _, rating, _ in tables()["ratings"])  # type: ignore[operator]


@pytest.mark.parametrize("name", ["warm", "temporal", "cold-item", "cold-user"])
def test_by_default_the_same_is_held_out(graph: GraphStore, folder: Path, name: Protocol) -> None:
    protocol = ProtocolConfig(name=name)
    files = read_split(DataConfig(folder=folder, protocol=protocol), seed=3)
    of_graph = DataConfig(graph=Selection(domain="movies"), protocol=protocol)
    found = read_split(of_graph, seed=3, store=graph)
    for part in ("valid", "test", "valid_given", "test_given"):
        one, other = getattr(files, part), getattr(found, part)
        assert np.array_equal(one.user, other.user)
        assert np.array_equal(one.item, other.item)
    for one, other in ((files.train, found.train),):
        assert (one.users, one.items) == (other.users, other.items)
        assert np.array_equal(one.interactions.item, other.interactions.item)
        assert one.item_texts == other.item_texts
        assert facts(one) == facts(other)


def facts(dataset: Dataset) -> set[tuple[str, str, str]]:
    held = dataset.facts
    relations = [held.relations[each] for each in held.relation]
    items, entities = dataset.items.take(held.item), dataset.entities.take(held.entity)
    return set(zip(items, relations, entities, strict=True))


def test_what_the_graph_cannot_give_is_refused(folder: Path) -> None:
    graph = Selection(domain="movies")
    with pytest.raises(ConfigError, match="hold no split"):
        evaluate(EvaluateConfig(graph=graph, protocol=ProtocolConfig(name="given")))
    with pytest.raises(ConfigError, match="not both"):
        evaluate(EvaluateConfig(graph=graph, folder=folder))
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(folder), "--domain", "movies"])
    assert ended.value.code == 2
