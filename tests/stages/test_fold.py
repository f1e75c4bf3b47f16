"""New items in the live model: from the graph alone, at once, the same in every answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import GENRES, item_id, plant, user_id, write_facts

from kgrec.cli import main
from kgrec.config import Settings
from kgrec.data.records import entity_id
from kgrec.data.selection import Selection
from kgrec.errors import ModelError
from kgrec.explain.explainer import Explainer
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.model.storage import load_team, save_model
from kgrec.retrieval.batch import recommend_all
from kgrec.retrieval.recommender import Recommender, RecommenderConfig
from kgrec.schema import load_schema
from kgrec.stages.fold import FoldConfig, Folder
from kgrec.stages.publish import publish
from kgrec.stages.upsert import change_item, upsert_items
from kgrec.text import bert

QUICK = TeamConfig(
    agents=("linear", "collaborative"), settings={"collaborative": {"steps": 20, "tau": 0.3}}
)
MOVIES = load_schema().domain("movies")


def fit(store: GraphStore, home: Path, **changed: Any) -> str:
    selection = Selection(domain="movies")
    team = fit_team(read_dataset(store, selection), None, QUICK.model_copy(update=changed))
    settings = {**team.config, "selection": selection.model_dump()}
    model_id = save_model(replace(team, config=settings), home / "models").model_id
    publish(store, load_team(home / "models" / model_id), model_id)
    return model_id


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fold")


@pytest.fixture
def model_id(store: GraphStore, own_home: Path) -> str:
    plant(store)
    return fit(store, own_home)


def folder(store: GraphStore, home: Path) -> Folder:
    return Folder(store, home, FoldConfig(extract=False))


def add(store: GraphStore, *rows: dict[str, Any]) -> None:
    upsert_items(store, list(enumerate(rows, 1)), MOVIES, source="api")


def western(name: str, taste: int = 2) -> dict[str, Any]:
    row = {"item_id": name, "title": f"Film {name}", "genres": [GENRES[taste]]}
    return {**row, "director": [f"Director {taste}0"]}


def shown(recommender: Recommender, user: int, k: int = 200) -> dict[str, float]:
    items = recommender.recommend(user_id(user), k).items
    return {item.item_id: item.score for item in items}


def test_a_new_item_is_recommended_and_explained_with_one_score(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    recommender = Recommender(store, own_home / "models")
    before = shown(recommender, 2)
    add(store, western("new"))
    assert "new" not in shown(recommender, 2)
    done = folder(store, own_home).run()
    assert (done.model_id, done.folded, done.removed, done.total) == (model_id, 1, 0, 1)
    found = recommender.recommend(user_id(2), 200)
    after = {item.item_id: item.score for item in found.items}
    place = [item.item_id for item in found.items].index("new")
    ranks = [list(shown(recommender, user)).index("new") for user in range(12)]
    assert np.mean(ranks[2::4]) < 0.5 * np.mean([ranks[0::4], ranks[1::4], ranks[3::4]])
    same = before.keys() & after.keys()
    assert {each: after[each] for each in same} == {each: before[each] for each in same}
    item = found.items[place]
    assert sum(item.contributions.values()) == pytest.approx(item.score)
    assert {reason.kind for reason in item.reasons}
    explained = Explainer(recommender).explain(user_id(2), "new", request_id=found.request_id)
    assert explained.score == item.score
    live = recommender.live.current()
    batch = {top.user_id: top for top in recommend_all(store, live, 200)}[user_id(2)]
    rows = dict(zip(live.team.items.take(batch.rows), batch.scores.tolist(), strict=True))
    assert rows["new"] == item.score
    graph = Recommender(store, own_home / "models", RecommenderConfig(retrieval="graph"))
    assert shown(graph, 2)["new"] == item.score
    vectors = store.query(
        "MATCH (i:Item {item_id: 'new'}) RETURN i.vector_a AS a, i.vector_b AS b"
    ).rows[0]
    assert vectors["a"] or vectors["b"]
    suggested = store.query(
        "MATCH (i:Item {item_id: 'new'})-[s:SUGGESTS]-() RETURN count(s) AS n"
    ).rows[0]
    assert suggested["n"] > 10


def test_what_is_folded_in_is_not_folded_in_again(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    add(store, western("a"), western("b", 1))
    runs = folder(store, own_home)
    assert runs.run().folded == 2
    moment = runs.moment()
    again = runs.run()
    assert (again.folded, again.total, again.changed) == (0, 2, False)
    assert runs.moment() == moment
    assert folder(store, own_home).run().folded == 0  # by a process that starts anew


def test_a_change_folds_again_and_a_removal_takes_away(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    add(store, western("a", 2), western("b", 2))
    runs, recommender = folder(store, own_home), Recommender(store, own_home / "models")
    runs.run()
    mine = shown(recommender, 2)
    assert {"a", "b"} <= mine.keys()
    change_item(
        store, "a", {"genres": ["Comedy"], "director": ["Director 10"]}, MOVIES, source="api"
    )
    assert runs.run().folded == 1
    now = shown(recommender, 2)
    assert now["a"] < mine["a"]
    assert now["b"] == mine["b"]
    assert now["a"] < shown(recommender, 1)["a"]
    store.write("retiring/delete_items", items=["b"])
    assert "b" not in shown(recommender, 2)
    done = runs.run()
    assert (done.folded, done.removed, done.total) == (0, 1, 1)
    assert "b" not in recommender.live.current().team.items


def set_facts(store: GraphStore, number: int, taste: int, director: int) -> None:
    """Give a planted item the facts of a taste, as `plant` does."""
    item = item_id(number)
    for kind in ("HAS_GENRE", "DIRECTED_BY"):
        gone = f"MATCH (:Item {{item_id: $item}})-[f:{kind}]->() DELETE f"
        store.query(gone, {"item": item}, writing=True)
    for kind, entity, sure in (
        ("HAS_GENRE", entity_id("Genre", GENRES[taste]), 1.0),
        ("DIRECTED_BY", entity_id("Person", f"Director {taste}{director}"), 0.9),
    ):
        known = {"confidence": sure, "source": "t", "extractor": "table", "evidence": ""}
        write_facts(store, kind, [{"item": item, "entity": entity, "known": known}])


def test_a_trained_item_follows_its_facts_and_comes_back_with_them(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    runs, recommender = folder(store, own_home), Recommender(store, own_home / "models")
    before = {user: shown(recommender, user) for user in range(12)}
    assert runs.run().changed is False
    number, taste, director = 42, 42 % 4, 42 // 4 % 3
    add(store, western("new", 3))
    set_facts(store, number, 1, 0)
    done = runs.run()
    assert (done.folded, done.revised, done.removed, done.total) == (1, 1, 0, 1)
    name, moved = item_id(number), dict[int, list[float]]()
    for user, old in before.items():
        now = shown(recommender, user)
        if name in old:  # it is not shown to those who had it
            moved.setdefault(user % 4, []).append(now[name] - old[name])
            same = (old.keys() & now.keys()) - {name}
            assert {each: now[each] for each in same} == {each: old[each] for each in same}
    assert np.mean(moved[1]) > max(np.mean(moved[other]) for other in (0, 2, 3))
    assert np.mean(moved[1]) > 0 > np.mean(moved[taste])
    found = recommender.recommend(user_id(1), 200)
    [one] = [item for item in found.items if item.item_id == name]
    explained = Explainer(recommender).explain(user_id(1), name, request_id=found.request_id)
    assert explained.score == one.score == pytest.approx(sum(one.contributions.values()))
    assert runs.run().changed is False
    assert folder(store, own_home).run().changed is False
    set_facts(store, number, taste, director)
    done = runs.run()
    assert (done.revised, done.removed, done.total) == (0, 1, 1)
    store.write("retiring/delete_items", items=["new"])
    assert runs.run().removed == 1
    assert {user: shown(recommender, user) for user in range(12)} == before


def test_the_vector_of_a_changed_item_is_in_the_graph_and_goes_with_the_change(
    store: GraphStore, own_home: Path
) -> None:
    plant(store)
    trained = fit(store, own_home, agents=READS_TEXTS, settings={"semantic": {"steps": 0}})
    runs = folder(store, own_home)
    slot = runs.moment()[1]
    query = f"MATCH (i:Item {{item_id: $item}}) RETURN i.{slot} AS vector, i.description AS text"
    item = {"item": item_id(42)}
    [before] = store.query(query, item).rows
    change_item(store, item["item"], {"description": "A musical about bees."}, MOVIES, source="api")
    assert runs.run().revised == 1
    [after] = store.query(query, item).rows
    assert np.abs(np.subtract(before["vector"], after["vector"])).max() > 0.01
    change_item(store, item["item"], {"description": before["text"]}, MOVIES, source="api")
    assert runs.run().removed == 1
    [again] = store.query(query, item).rows
    np.testing.assert_allclose(again["vector"], before["vector"], atol=1e-6)
    assert runs.run().model_id == trained


def test_a_model_without_marks_keeps_trained_items_as_they_were(
    store: GraphStore, own_home: Path
) -> None:
    plant(store)
    team = fit_team(read_dataset(store, Selection(domain="movies")), None, QUICK)
    assert team.folding is not None
    old = replace(team, folding=replace(team.folding, marks=()))
    model_id = save_model(old, own_home / "models").model_id
    publish(store, old, model_id)
    set_facts(store, 42, 1, 0)
    assert folder(store, own_home).run().changed is False


def test_a_search_for_changes_is_followed_by_a_rest(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    runs, names = folder(store, own_home), iter(["a", "b"])
    looks = []

    def goes_on() -> bool:
        looks.append(time.monotonic())
        if len(looks) == 2:
            runs._rests_until = time.monotonic() + 3
            set_facts(store, 42, 1, 0)
            add(store, western(next(names)))
        if len(looks) > 2 and "a" not in known:
            known.extend(each for each in runs._folded[1].ids)
            early.append(item_id(42) in known)
        return item_id(42) not in runs._folded[1].ids and time.monotonic() < looks[0] + 30

    known: list[str] = []
    early: list[bool] = []
    runs.follow(goes_on)
    assert item_id(42) in runs._folded[1].ids  # it is found after the rest, with no other change
    assert "a" in known
    assert not any(early)  # and the new item did not wait for that


def test_changes_that_name_their_items_are_folded_in_without_a_search(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    runs = folder(store, own_home)
    reads: Counter[str] = Counter()
    looks: list[list[str]] = []  # reads of the graph between two looks
    trained, names = item_id(42), ("fresh", "elsewhere")

    def change(number: int) -> None:
        if number == 1:  # what came before the process did is found by a search
            change_item(store, trained, {"genres": [GENRES[1]]}, MOVIES, source="api")
            add(store, western(names[0]))
        elif number == 2:
            store.write_all([("retiring/delete_items", {}, {"items": ["fresh"]})], ["fresh"])
            change_item(store, trained, {"genres": None}, MOVIES, source="api")
        elif number == 3:  # somebody else counts the revision up, and names nothing
            store.query("MATCH (r:Revision) SET r.number = r.number + 1", writing=True)
            add(store, western(names[1]))

    def goes_on() -> bool:
        looks.append(sorted(reads))
        reads.clear()
        folded.append(set(runs._folded[1].ids))
        due = len(looks) % 4 == 0
        if due and len(looks) // 4 < 4:
            runs._rests_until = 0.0
            change(len(looks) // 4)
        return len(looks) < 16

    folded: list[set[str]] = []
    store.on_read = lambda name, _: reads.update([name])
    try:
        runs.follow(goes_on)
    finally:
        store.on_read = None
    searched = [n for n, names in enumerate(looks) if "recommend/item_ids" in names]
    assert searched
    assert all(n < 4 or n >= 12 for n in searched), searched
    assert any(n >= 12 for n in searched)
    assert folded[7] == {"fresh", trained}
    assert folded[11] == set()
    assert folded[15] == {"elsewhere"}


def test_likes_of_a_new_item_count_at_once(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    add(store, western("a", 3))
    folder(store, own_home).run()
    recommender = Recommender(store, own_home / "models")
    found = recommender.recommend_for(["a"], 10)
    assert not found.fallback
    tastes = [int(item.item_id[1:]) % 4 for item in found.items]
    assert np.mean([taste == 3 for taste in tastes]) > 0.7
    assert not recommender.similar("a", 5).fallback


def test_a_run_that_is_killed_is_completed_by_the_next(
    store: GraphStore, own_home: Path, model_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, western("a"), western("b"))
    runs = folder(store, own_home)
    write = GraphStore.write_all

    def killed(self: GraphStore, steps: Any) -> Any:
        write(self, steps)
        raise KeyboardInterrupt  # after vectors and suggestions, before the name

    monkeypatch.setattr(GraphStore, "write_all", killed)
    with pytest.raises(KeyboardInterrupt):
        runs.run()
    monkeypatch.undo()
    recommender = Recommender(store, own_home / "models")
    assert "a" not in shown(recommender, 2)
    assert folder(store, own_home).run().folded == 2
    assert {"a", "b"} <= shown(recommender, 2).keys()
    edges = store.query(
        "MATCH (h)-[s:SUGGESTS]->(i) WHERE s.folded = 1 "
        "RETURN h.item_id AS h, i.item_id AS i, s.agent AS agent, count(s) AS n"
    ).rows
    assert {row["n"] for row in edges} == {1}


def test_two_runs_at_once_do_not_lose_an_item(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    one, two = folder(store, own_home), folder(store, own_home)
    add(store, western("a"))
    one.run()
    two.run()
    add(store, western("b"))
    write = one._write

    def late(*given: Any) -> None:
        two.run()
        write(*given)

    one._write = late  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="another run"):
        one.run()
    one._write = write  # type: ignore[method-assign]
    assert one.run().total == 2
    assert {"a", "b"} <= shown(Recommender(store, own_home / "models"), 2).keys()


def test_publishing_again_keeps_what_was_folded_in(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    add(store, western("a"))
    folder(store, own_home).run()
    team = load_team(own_home / "models" / model_id)
    assert not publish(store, team, model_id).changed
    recommender = Recommender(store, own_home / "models")
    assert "a" in shown(recommender, 2)
    # The next training knows the item; nothing is folded into its model.
    following = fit(store, own_home, seed=5)
    assert following != model_id
    done = folder(store, own_home).run()
    assert (done.model_id, done.folded, done.total) == (following, 0, 0)
    assert "a" in shown(recommender, 2)
    assert recommender.live.current().folded == ""


def test_a_model_without_the_parts_leaves_new_items_for_the_next_training(
    store: GraphStore, own_home: Path
) -> None:
    plant(store)
    team = fit_team(read_dataset(store, Selection(domain="movies")), None, QUICK)
    old = replace(team, folding=None)
    model_id = save_model(old, own_home / "models").model_id
    publish(store, old, model_id)
    add(store, western("a"))
    done = folder(store, own_home).run()
    assert done.folded == 0
    assert "format" in done.problem


def test_a_file_that_is_gone_is_written_again(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    add(store, western("a"))
    folder(store, own_home).run()
    for path in (own_home / "models" / model_id / "folded").iterdir():
        path.unlink()
    recommender = Recommender(store, own_home / "models")
    assert "a" not in shown(recommender, 2)  # the model answers without it
    assert folder(store, own_home).run().folded == 1
    assert "a" in shown(Recommender(store, own_home / "models"), 2)


def test_two_processes_that_keep_the_catalogue_both_see_it(
    store: GraphStore, own_home: Path, model_id: str
) -> None:
    workers = [Recommender(store, own_home / "models", resident=True) for _ in range(2)]
    for worker in workers:
        worker.warm_up()
        assert "a" not in shown(worker, 2)
    add(store, western("a"))
    folder(store, own_home).run()
    for worker in workers:
        deadline = time.monotonic() + 10
        while "a" not in shown(worker, 2):
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_the_command_folds_and_reports(
    store: GraphStore, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    plant(store)
    fit(store, settings.home)
    add(store, western("a"))
    monkeypatch.setenv("KGREC_HOME", str(settings.home))
    with pytest.raises(SystemExit) as ended:
        main(["fold", "--no-extract", "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["folded"] == 1
    with pytest.raises(SystemExit):
        main(["fold", "--no-extract"])
    assert "0 items folded into" in " ".join(capsys.readouterr().out.split())


READS_TEXTS = ("linear", "semantic")


def command_without(settings: Settings, *absent: str, arguments: tuple[str, ...]) -> Any:
    """Return what `kgrec fold` prints in a process that lacks some packages."""
    blocked = "".join(f"sys.modules[{name!r}] = None;" for name in absent)
    code = f"import sys; {blocked} from kgrec.cli import main; main(['fold', *{arguments!r}])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KGREC_HOME": str(settings.home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_it_needs_no_torch_where_no_agent_reads_texts(
    store: GraphStore, settings: Settings
) -> None:
    plant(store)
    fit(store, settings.home)
    add(store, western("a"))
    found = command_without(settings, "torch", "spacy", arguments=("--no-extract", "--json"))
    assert found["folded"] == 1


def test_it_reads_texts_without_torch(store: GraphStore, settings: Settings) -> None:
    plant(store)
    fit(store, settings.home, agents=READS_TEXTS, settings={"semantic": {"steps": 0}})
    text = "A drama directed by Director 21."
    add(store, {"item_id": "a", "title": "Film a", "description": text})
    found = command_without(settings, "torch", "transformers", arguments=("--json",))
    assert found["folded"] == 1
    assert found["facts"] > 0
    [rows] = Recommender(store, settings.home / "models").live.current().team.kernels[1:]
    assert rows.item_factors is not None
    assert np.linalg.norm(rows.item_factors[-1]) == pytest.approx(1, abs=1e-4)


def test_a_warm_folder_has_loaded_what_reads_texts_though_vectors_are_kept(
    store: GraphStore, settings: Settings
) -> None:
    plant(store)
    fit(store, settings.home, agents=READS_TEXTS, settings={"semantic": {"steps": 0}})
    for _ in range(2):  # the second finds the vector of the first
        bert._load.cache_clear()
        Folder(store, settings.home).warm_up()
        assert bert._load.cache_info().currsize == 1
