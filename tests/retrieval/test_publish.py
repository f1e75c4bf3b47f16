"""Publishing: blue and green, one switch, nothing twice, and again after a stop half-way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from planted import item_id, plant, train, user_id

from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ConfigError, ModelError, NotFoundError
from kgrec.graph.pages import vector_pages
from kgrec.graph.setup import count_graph
from kgrec.graph.store import GraphStore
from kgrec.model.coordinator import Coordinator
from kgrec.model.storage import save_team
from kgrec.model.team import Team
from kgrec.progress import SilentProgress
from kgrec.retrieval.filters import parse_filter, passing
from kgrec.retrieval.live import LiveModels
from kgrec.stages.models import choose_model, list_models
from kgrec.stages.publish import publish, published_models

ITEMS = 40


@pytest.fixture
def team(empty_store: GraphStore) -> Team:
    plant(empty_store, users=20, items=ITEMS, each=8)
    return train(empty_store)[1]


def suggestions(store: GraphStore, model_id: str) -> int:
    ids = [item_id(n) for n in range(ITEMS)]
    rows = store.read("publish/count_suggestions", items=ids, model_id=model_id)
    return sum(row["suggestions"] for row in rows)


def with_vectors(store: GraphStore, slot: str) -> list[str]:
    return sorted(item for page in vector_pages(store, slot) for item in page["ids"])


def test_publish_writes_everything_and_switches(empty_store: GraphStore, team: Team) -> None:
    done = publish(empty_store, team, "one", suggests_per_item=5)
    assert (done.changed, done.items, done.missing, done.untrained) == (True, ITEMS, 0, 0)
    assert done.dimensions == team.item_vectors().shape[1]
    assert len(with_vectors(empty_store, "vector_a")) == ITEMS
    assert 0 < done.suggestions == suggestions(empty_store, "one") <= 5 * ITEMS
    assert [model.model_id for model in published_models(empty_store) if model.live] == ["one"]


def test_the_cypher_of_the_readme_recommends_whichever_agent_suggests(
    empty_store: GraphStore, team: Team
) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    statement = readme.split("```cypher\n")[1].split("```")[0]
    publish(empty_store, team, "one")
    empty_store.query("MATCH ()-[s:SUGGESTS]->() SET s.agent = 'another'", writing=True)
    found = empty_store.query(statement, {"user": user_id(1)}).rows
    assert len(found) == 10
    assert all(row["title"] and row["because"] for row in found)


def test_publishing_the_live_model_changes_nothing(empty_store: GraphStore, team: Team) -> None:
    publish(empty_store, team, "one")
    before = count_graph(empty_store)
    again = publish(empty_store, team, "one")
    assert not again.changed
    assert again.removed == 0
    assert count_graph(empty_store) == before


def test_the_next_model_takes_the_idle_slot_and_the_one_before_stays_whole(
    empty_store: GraphStore, team: Team
) -> None:
    publish(empty_store, team, "one")
    first = suggestions(empty_store, "one")
    other = replace(team, coordinator=Coordinator([0.9, 0.1]))
    done = publish(empty_store, other, "two", suggests_per_item=3)
    assert (done.slot, done.removed) == ("vector_b", 0)
    assert suggestions(empty_store, "one") == first
    assert len(with_vectors(empty_store, "vector_a")) == ITEMS
    back = publish(empty_store, team, "one")
    assert (back.slot, back.changed) == ("vector_a", True)
    assert [(m.model_id, m.live, m.ready) for m in published_models(empty_store)] == [
        ("one", True, True),
        ("two", False, True),
    ]
    third = publish(empty_store, replace(team, coordinator=Coordinator([0.1, 0.9])), "three")
    assert (third.slot, third.removed) == ("vector_b", done.suggestions)
    assert suggestions(empty_store, "two") == 0
    assert suggestions(empty_store, "one") == first


class _Stop(SilentProgress):
    """Ends the work where a task of some name begins, as a kill would."""

    def __init__(self, name: str) -> None:
        self._name = name

    def task(self, name: str, total: float | None = None):  # type: ignore[no-untyped-def]
        if name == self._name:
            raise KeyboardInterrupt
        return super().task(name, total)


@pytest.mark.parametrize("where", ["write vectors", "write suggestions", "remove old suggestions"])
def test_a_publish_that_was_stopped_is_completed(
    empty_store: GraphStore, team: Team, where: str
) -> None:
    publish(empty_store, team, "one")
    with pytest.raises(KeyboardInterrupt):
        publish(empty_store, team, "two", progress=_Stop(where))
    live = [model.model_id for model in published_models(empty_store) if model.live]
    assert live == (["two"] if where == "remove old suggestions" else ["one"])
    publish(empty_store, team, "two")
    assert suggestions(empty_store, "one") == suggestions(empty_store, "two")
    assert suggestions(empty_store, "two") == sum(len(s.item) for s in team.suggestions(20))
    assert len(with_vectors(empty_store, "vector_b")) == ITEMS


def test_half_written_suggestions_are_not_doubled(empty_store: GraphStore, team: Team) -> None:
    publish(empty_store, team, "one")
    edge = {"history": item_id(0), "item": item_id(1), "agent": "linear", "weight": 1.0}
    empty_store.write("publish/create_suggestions", rows=[edge], model_id="two")
    done = publish(empty_store, team, "two", suggests_per_item=4)
    assert suggestions(empty_store, "two") == done.suggestions


def test_suggestions_of_a_publish_under_way_stay(empty_store: GraphStore, team: Team) -> None:
    publish(empty_store, team, "one")
    with pytest.raises(KeyboardInterrupt):
        publish(empty_store, team, "two", progress=_Stop("write suggestions"))
    edge = {"history": item_id(0), "item": item_id(1), "agent": "linear", "weight": 1.0}
    empty_store.write("publish/create_suggestions", rows=[edge], model_id="two")
    assert publish(empty_store, team, "one").removed == 0
    assert suggestions(empty_store, "two") == 1
    assert publish(empty_store, team, "three").removed == 1  # "one" may come back


def test_lost_suggestions_of_the_live_model_are_written_again(
    empty_store: GraphStore, team: Team
) -> None:
    done = publish(empty_store, team, "one")
    lost = {"items": [item_id(0), item_id(1)], "model_id": "one"}
    empty_store.write("publish/delete_suggestions_of", **lost)
    assert suggestions(empty_store, "one") < done.suggestions
    assert publish(empty_store, team, "one").changed
    assert suggestions(empty_store, "one") == done.suggestions


def test_vectors_of_items_that_the_model_lacks_go(empty_store: GraphStore, team: Team) -> None:
    publish(empty_store, team, "one")
    publish(empty_store, team, "two")
    publish(empty_store, _without_first(team), "three")
    assert item_id(0) not in with_vectors(empty_store, "vector_a")
    assert len(with_vectors(empty_store, "vector_a")) == ITEMS - 1


def test_items_that_the_graph_lacks_are_counted(empty_store: GraphStore, team: Team) -> None:
    kernels = tuple(kernel for kernel in team.kernels if kernel.rows is None)
    more = replace(
        team,
        items=Vocabulary([*team.items.ids[:-1], "elsewhere"]),
        kernels=kernels,
        coordinator=Coordinator([1.0]),
    )
    done = publish(empty_store, more, "one")
    assert (done.items, done.missing, done.untrained) == (ITEMS - 1, 1, 1)
    none = replace(more, items=Vocabulary(f"x{n}" for n in range(ITEMS)))
    with pytest.raises(ModelError, match="no item in common"):
        publish(empty_store, none, "two")
    assert LiveModels(empty_store, Path("models")).named() == ("one", "vector_a")


def test_a_slot_that_was_taken_over_is_not_written(empty_store: GraphStore, team: Team) -> None:
    publish(empty_store, team, "one")

    class Interfering(SilentProgress):
        def task(self, name: str, total: float | None = None):  # type: ignore[no-untyped-def]
            if name == "write vectors":
                claim = {"model_id": "other", "slot": "vector_b"}
                noted = {**claim, "metrics": "{}", "created_at": datetime.now(UTC)}
                empty_store.write_all(
                    [("publish/claim_slot", {}, claim), ("publish/upsert_model", {}, noted)]
                )
            return super().task(name, total)

    with pytest.raises(ModelError, match="another publish"):
        publish(empty_store, team, "two", progress=Interfering())
    assert LiveModels(empty_store, Path("models")).named()[0] == "one"
    assert with_vectors(empty_store, "vector_b") == []


def test_models_are_listed(empty_store: GraphStore, team: Team, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no model has been trained"):
        choose_model(tmp_path)
    save_team(team, tmp_path / "one")
    save_team(team, tmp_path / "two")
    publish(empty_store, team, "one")
    publish(empty_store, team, "gone")
    entries = {entry.model_id: entry for entry in list_models(empty_store, tmp_path)}
    assert entries["gone"].live
    assert entries["gone"].trained_at is None
    assert entries["one"].published_at is not None
    assert entries["two"].published_at is None
    assert (entries["one"].previous, entries["two"].previous) == (True, False)
    assert choose_model(tmp_path, "one") == "one"
    with pytest.raises(NotFoundError):
        choose_model(tmp_path, "three")


def test_filters_by_a_number_agree_with_and_without_its_index(
    empty_store: GraphStore, team: Team
) -> None:
    texts = ["year=1961", "year>=1970.5", "year<=1969.5", "year=1965..1970", "year>=1e14"]
    filters = [parse_filter(text, "movies") for text in texts]
    before = [passing(empty_store, [one]) for one in filters]
    publish(empty_store, team, "one")
    assert [passing(empty_store, [one]) for one in filters] == before
    assert [len(found or ()) for found in before] == [1, ITEMS - 11, 10, 6, 0]
    with pytest.raises(ConfigError, match="is no number"):
        parse_filter("year>=inf", "movies")


def test_old_suggestions_are_looked_for_only_where_there_are_some(
    empty_store: GraphStore, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        publish(empty_store, team, name)
    written = []
    write = GraphStore.write

    def noted(store: GraphStore, statement: str, *rest: Any, **more: Any) -> Any:
        written.append(statement)
        return write(store, statement, *rest, **more)

    monkeypatch.setattr(GraphStore, "write", noted)
    publish(empty_store, team, "three")
    assert "publish/delete_old_suggestions" not in written
    publish(empty_store, team, "four")
    assert written.count("publish/delete_old_suggestions") == 1  # one batch of items, read once


def test_a_team_without_factors_has_no_vectors(empty_store: GraphStore, team: Team) -> None:
    sparse = replace(team, kernels=team.kernels[:1], coordinator=Coordinator([1.0]))
    done = publish(empty_store, sparse, "one")
    assert done.dimensions == 0
    assert with_vectors(empty_store, "vector_a") == []


def _without_first(team: Team) -> Team:
    kernels = []
    for kernel in team.kernels:
        cut = {
            name: None if value is None else value[1:]
            for name in ("history_factors", "item_factors", "prior")
            for value in [getattr(kernel, name)]
        }
        rows = None if kernel.rows is None else kernel.rows[1:][:, 1:].tocsr()
        kernels.append(replace(kernel, rows=rows, **cut))
    return replace(team, items=Vocabulary(team.items.ids[1:]), kernels=tuple(kernels))
