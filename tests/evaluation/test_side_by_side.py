from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tastes import tastes, write_folder

from kgrec.data.atomic import SplitDataset, read_folder
from kgrec.evaluation.protocol import evaluate_ranking
from kgrec.metrics.validation import Validation

PEERS = os.environ.get("KGREC_TEST_PEERS", "")
BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted catalogue as atomic files, with its genres as a graph."""
    path = tmp_path_factory.mktemp("side") / "planted"
    path.mkdir()
    write_folder(tastes(), path)
    data = read_folder(path).train
    links = "\n".join(f"{item}\te{item}" for item in data.items.ids)
    (path / "p.link").write_text(f"item_id:token\tentity_id:token\n{links}\n")
    triples = "\n".join(f"e{item}\tgenre\tg{n % 4}" for n, item in enumerate(data.items.ids))
    (path / "p.kg").write_text(f"head_id:token\trelation_id:token\ttail_id:token\n{triples}\n")
    (path / "team.toml").write_text('agents = ["linear"]\n')
    return path


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import modules of the benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def run(*arguments: object, seconds: int = 120) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)


def problem(benchmarks: Any, folder: Path, scratch: Path, **given: Any) -> Any:
    base, data = benchmarks("peers.base"), read_folder(folder)
    train = data.train.matrix()
    held_out = Validation(train, data.valid)
    rules = {"seed": 1, "threads": 1, "until": np.inf, "scratch": scratch}
    return base.Problem(folder, data, train, held_out, **(rules | given))


def popularity_recall(data: SplitDataset, k: int, mask: str = "train+valid") -> float:
    """Measure the most popular items without the benchmark."""
    train = data.train.matrix()
    counts = np.asarray(train.sum(axis=0), dtype=np.float32).ravel()

    class Popular:
        def scores(self, histories: Any) -> np.ndarray:
            return np.tile(counts, (histories.shape[0], 1))

    seen = train
    if mask == "train+valid":
        seen = data.train.interactions.concat(data.valid).matrix(*train.shape)
    report, _ = evaluate_ranking(Popular(), train, seen, data.test, [k])
    return report.at[k]["recall"].mean


def test_systems_are_measured_side_by_side(folder: Path, tmp_path: Path, benchmarks: Any) -> None:
    kept, page = tmp_path / "kept.json", tmp_path / "table.md"
    done = run(
        *(folder, "--k", 5, "--systems", "kgrec,popularity,ease,lightgcn", "--threads", 1),
        *("--team", folder / "team.toml", "--json", kept, "--markdown", page),
    )
    assert done.returncode == 0, done.stderr
    assert "lightgcn is left out: LightGCN needs --peers-python" in done.stderr
    found = {r.system: r for r in benchmarks("results").Results.read(kept).results}
    assert set(found) == {"kgrec", "popularity", "ease"}
    expected = popularity_recall(read_folder(folder), 5)
    assert found["popularity"].at[5].mean["recall"].mean == pytest.approx(expected)
    for result in found.values():
        assert result.memory >= result.before > 10 * 2**20
        assert result.times.fit >= result.times.last_fit > 0
        assert result.times.cpu > 0
        mean = result.at[5].mean["ndcg"].mean
        assert np.mean(result.at[5].per_user["ndcg"]) == pytest.approx(mean)
    ahead = benchmarks("comparison").lead(found["kgrec"], found["popularity"], 5)["recall"]
    gap = found["kgrec"].at[5].mean["recall"].mean - expected
    assert ahead.mean == pytest.approx(gap)
    assert 0 < ahead.low < gap < ahead.high
    ratio = found["ease"].times.fit / found["kgrec"].times.fit
    rows = [line for line in done.stdout.splitlines() if line.startswith("ease ")]
    assert f"{found['ease'].at[5].mean['recall'].mean:.4f} ±" in rows[0]
    assert f" {ratio:.2f} " in rows[1]
    assert "recall@5: best peer ease" in done.stdout
    assert "| ease |" in page.read_text()

    again = run(
        *(folder, "--k", 5, "--systems", "ease", "--repeat", 2, "--threads", 1),
        *("--merge", kept, "--json", kept, "--chosen"),
    )
    assert again.returncode == 0, again.stderr
    merged = {r.system: r for r in benchmarks("results").Results.read(kept).results}
    assert set(merged) == set(found)
    assert merged["kgrec"] == found["kgrec"]
    assert merged["ease"].chosen == found["ease"].chosen
    assert merged["ease"].notes == ("settings as chosen before",)
    assert len(merged["ease"].runs) == 2
    assert merged["ease"].times.fit == min(times.fit for times in merged["ease"].runs)


def test_items_of_the_validation_part_can_be_ranked(
    folder: Path, tmp_path: Path, benchmarks: Any
) -> None:
    kept, data = tmp_path / "kept.json", read_folder(folder)
    done = run(folder, "--k", 20, "--systems", "popularity", "--mask", "train", "--json", kept)
    assert done.returncode == 0, done.stderr
    assert "Items of the validation part are ranked as well." in done.stdout
    (found,) = benchmarks("results").Results.read(kept).results
    assert found.mask == "train"
    recall = found.at[20].mean["recall"].mean
    assert recall == pytest.approx(popularity_recall(data, 20, "train"))
    assert recall < popularity_recall(data, 20)
    other = found.model_copy(update={"system": "kgrec", "mask": "train+valid"})
    with pytest.raises(ValueError, match=r"kgrec has the mask train\+valid, popularity train"):
        benchmarks("comparison").lead(other, found, 20)


def test_a_name_that_is_no_system_is_refused(folder: Path) -> None:
    done = run(folder, "--systems", "kgrec,eese")
    assert done.returncode == 2
    assert "there is no system eese; there are kgrec, popularity" in done.stderr


@pytest.mark.parametrize(
    ("page", "written"),
    [
        ("a\n<!-- measured -->\nold\n<!-- /measured -->\nb\n", "a\n{}\nb\n"),
        ("a\n<!-- measured -->\nb\n", "a\n{}\nb\n"),
        ("a\n", "a\n{}\n"),
        (None, "{}\n"),
    ],
)
def test_tables_stand_between_the_marks_of_a_page(
    page: str | None, written: str, tmp_path: Path, benchmarks: Any
) -> None:
    path = tmp_path / "page.md"
    if page is not None:
        path.write_text(page)
    for _ in range(2):
        benchmarks("run").write_page(path, "new")
        assert path.read_text() == written.format("<!-- measured -->\nnew\n<!-- /measured -->")


def test_settings_are_searched_one_after_the_other(
    folder: Path, tmp_path: Path, benchmarks: Any
) -> None:
    base, tried = benchmarks("peers.base"), []

    def fit(settings: dict[str, Any]) -> Any:
        tried.append((settings["a"], settings["b"]))
        return base.Fitted(None, -abs(settings["a"] - 2) - abs(settings["b"] - 3), 1.0, settings)

    grid = {"a": (0, 1, 2, 4), "b": (0, 3)}
    best = base.search(problem(benchmarks, folder, tmp_path), grid, fit)
    assert best.chosen == {"a": 2, "b": 3}
    assert tried == [(0, 0), (1, 0), (2, 0), (4, 0), (2, 3)]
    late = base.search(problem(benchmarks, folder, tmp_path, until=0.0), grid, fit)
    assert late.chosen == {"a": 0, "b": 0}
    assert late.notes == ("the cap left out 4 of the settings to try",)
    fixed = problem(benchmarks, folder, tmp_path, fixed={"a": 4, "b": 3, "epochs": 9})
    tried.clear()
    assert base.search(fixed, grid, fit).notes == ("settings as chosen before",)
    assert tried == [(4, 3)]


def test_training_stops_where_the_validation_part_gets_no_better(
    folder: Path, tmp_path: Path, benchmarks: Any
) -> None:
    base, given = benchmarks("peers.base"), problem(benchmarks, folder, tmp_path)
    truth = given.data.valid.matrix(*given.train.shape).toarray()
    noise = np.random.default_rng(0).normal(size=truth.shape)
    share = iter([0.2, 0.5, 0.9, 0.4, 0.3, 0.1])

    def advance() -> Any:
        mixed = next(share) * truth + 0.1 * noise
        return base.Vectors(mixed.astype(np.float32), np.eye(len(truth[0]), dtype=np.float32)), 2.0

    found = base.fit_in_steps(given, advance, {"x": 1}, epochs=600, every=10, patience=2)
    assert found.chosen == {"x": 1, "epochs": 30}
    assert [point.seconds for point in found.curve] == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert found.valid == max(point.valid for point in found.curve)
    assert next(share) == 0.1
    capped = problem(benchmarks, folder, tmp_path, until=0.0)
    share = iter([0.2, 0.5])
    stopped = base.fit_in_steps(capped, advance, {}, epochs=600, every=10, patience=2)
    assert stopped.notes == ("stopped by the cap at epoch 10",)


def test_time_to_the_quality_of_a_peer(benchmarks: Any) -> None:
    comparison, results = benchmarks("comparison"), benchmarks("results")

    def system(name: str, *points: tuple[float, float, str]) -> Any:
        curve = tuple(results.Reached(seconds=s, valid=v, after=a) for s, v, a in points)
        return results.Result.model_construct(system=name, curve=curve)

    kgrec = system("kgrec", (9, 0.30, "agent b alone"), (2, 0.21, "agent a alone"), (12, 0.33, "t"))
    peer = system("gcn", (10, 0.1, ""), (40, 0.2, ""), (50, 0.19, ""))
    found = comparison.time_to_quality(kgrec, peer)
    assert (found.peer_seconds, found.kgrec_seconds, found.by) == (40, 2, "agent a alone")
    assert found.ratio == 20
    better = comparison.time_to_quality(kgrec, system("best", (5, 0.4, "")))
    assert better.ratio is None


def test_the_peers_get_the_split_and_links_of_its_items_alone(
    folder: Path, tmp_path: Path, benchmarks: Any
) -> None:
    models = benchmarks("peers.hopwise_models")
    given = problem(benchmarks, folder, tmp_path)
    models.write_atomic_files(given, tmp_path)
    data = given.data
    parts = {"train": data.train.interactions, "valid": data.valid, "test": data.test}
    for name, part in parts.items():
        lines = (tmp_path / f"data.{name}.inter").read_text().splitlines()[1:]
        pairs = [tuple(line.split("\t")) for line in lines]
        assert pairs == [
            (data.train.users.id(u), data.train.items.id(i))
            for u, i in zip(part.user.tolist(), part.item.tolist(), strict=True)
        ]
    taken = {data.train.items.id(i) for part in parts.values() for i in part.item.tolist()}
    lines = (tmp_path / "data.link").read_text().splitlines()[1:]
    assert {line.split("\t")[0] for line in lines} == taken
    assert len(taken) < data.train.num_items
    assert (tmp_path / "data.kg").read_bytes() == (folder / "p.kg").read_bytes()


@pytest.mark.skipif(not PEERS, reason="KGREC_TEST_PEERS names no Python that has hopwise")
def test_published_graph_models_learn(folder: Path, tmp_path: Path, benchmarks: Any) -> None:
    kept = tmp_path / "kept.json"
    done = run(
        *(folder, "--k", 5, "--systems", "lightgcn,kgin,kgat", "--quick", "--threads", 1),
        *("--peers-python", PEERS, "--json", kept),
        seconds=900,
    )
    assert done.returncode == 0, done.stderr
    found = {r.system: r for r in benchmarks("results").Results.read(kept).results}
    assert set(found) == {"lightgcn", "kgin", "kgat"}, done.stderr
    given = problem(benchmarks, folder, tmp_path)
    noise = np.random.default_rng(0).random(given.train.shape, dtype=np.float32)
    chance = benchmarks("peers.base").valid_of(given, lambda users: noise[users])
    for result in found.values():
        assert result.valid > chance
        assert [point.after for point in result.curve] == ["epoch 10", "epoch 20"]
        assert result.curve[1].seconds > result.curve[0].seconds > 0


@pytest.mark.parametrize("name", ["ItemCosine", "Ease"])
def test_closed_forms_find_the_tastes(
    name: str, folder: Path, tmp_path: Path, benchmarks: Any
) -> None:
    closed = benchmarks("peers.closed")
    given = problem(benchmarks, folder, tmp_path)
    fitted = getattr(closed, name)().fit(given)
    assert fitted.valid > 1.2 * closed.Popularity().fit(given).valid


@pytest.mark.parametrize("name", ["ALS", "BPR"])
def test_factors_of_implicit_find_the_tastes(
    name: str, folder: Path, tmp_path: Path, benchmarks: Any
) -> None:
    pytest.importorskip("implicit")
    factors, base = benchmarks("peers.factors"), benchmarks("peers.base")
    given = problem(benchmarks, folder, tmp_path)
    system = getattr(factors, name)()
    system.grid = {"factors": (4,)}
    system.prepare(given)
    fitted = system.fit(given)
    closed = benchmarks("peers.closed").Popularity().fit(given)
    assert fitted.valid > 1.2 * closed.valid
    assert base.valid_of(given, fitted.score) == pytest.approx(fitted.valid)
