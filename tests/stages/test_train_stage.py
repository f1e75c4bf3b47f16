"""Training on the graph: named by what it learned from, kept, and found again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shelves import small_model
from small_tables import FILMS, RATINGS, Command, Load
from tastes import tastes

from kgrec.data.selection import Selection
from kgrec.errors import ConfigError, DataError, NotFoundError
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.registry import AGENTS
from kgrec.model.record import read_record
from kgrec.model.storage import load_team
from kgrec.model.team import Team
from kgrec.stages.models import choose_model
from kgrec.stages.train import TrainConfig, held_apart, train, training_key
from kgrec.training.logs import read_log
from kgrec.training.workers import Workers

CONFIG = TrainConfig(agents=("linear",), validation=0.0)


def ratings(users: int) -> str:
    lines = [
        f"u{user},{item},{5 - (user + item) % 3},{881_250_949 + user * 10 + item}"
        for user in range(users)
        for item in (1, 2, 3)
    ]
    return "\n".join(["user_id,movie_id,rating,timestamp", *lines, ""])


def test_a_model_is_trained_once_for_the_same_data_and_settings(
    load: Load, empty_store: GraphStore, tmp_path: Path
) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    first = train(empty_store, "movies", CONFIG, home=tmp_path)
    assert first.trained
    assert (first.users, first.items, first.interactions) == (12, 3, 36)
    assert "no model of these items" in first.reason
    again = train(empty_store, "movies", CONFIG, home=tmp_path)
    assert (again.trained, again.model_id, again.reason) == (False, first.model_id, "found")
    forced = train(empty_store, "movies", CONFIG, home=tmp_path, force=True)
    assert (forced.trained, forced.model_id) == (True, first.model_id)  # the same content
    assert choose_model(tmp_path / "models", domain="movies") == forced.model_id
    with pytest.raises(NotFoundError, match="no model has been trained for"):
        choose_model(tmp_path / "models", domain="music")
    other = CONFIG.model_copy(update={"seed": 7})
    seeded = train(empty_store, "movies", other, home=tmp_path)
    assert seeded.model_id != first.model_id
    assert seeded.reason == f"unlike {first.model_id}: settings changed: seed"
    load("interactions", "user_id,movie_id,rating,timestamp\nnew,1,5,881250949\n")
    more = train(empty_store, "movies", CONFIG, home=tmp_path)
    assert more.model_id != first.model_id
    assert "the data changed" in more.reason


def test_a_model_is_trained_again_when_the_code_that_learns_changed(
    load: Load, empty_store: GraphStore, tmp_path: Path
) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    first = train(empty_store, "movies", CONFIG, home=tmp_path)
    path = tmp_path / "models" / first.model_id / "record.json"
    record = json.loads(path.read_text())
    record["key"]["code"] = "0" * 16
    record["key"]["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(record))
    again = train(empty_store, "movies", CONFIG, home=tmp_path)
    assert again.trained
    assert again.reason.startswith(f"unlike {first.model_id}: the code that learns changed; numpy")
    assert again.model_id == first.model_id  # the code gave what it gave before
    assert not train(empty_store, "movies", CONFIG, home=tmp_path).trained


def test_what_training_tells_is_the_stored_record(
    load: Load, empty_store: GraphStore, tmp_path: Path
) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    done = train(empty_store, "movies", CONFIG, home=tmp_path)
    record = read_record(tmp_path / "models" / done.model_id)
    assert record.model_id == done.model_id
    assert (record.metrics, record.shares, record.failed) == (done.metrics, done.shares, {})
    assert record.settings["selection"]["domain"] == "movies"
    assert record.key is not None


def test_kinds_and_the_encoder_of_its_agents_are_in_the_key(tmp_path: Path) -> None:
    world, selection = tastes().train, Selection()
    seen = world.interactions
    bought = world.with_interactions(replace(seen, kind=np.ones_like(seen.kind)))
    assert training_key(world, CONFIG, selection) != training_key(bought, CONFIG, selection)
    named = {}
    for layers in (1, 2):
        folder = small_model(tmp_path / "encoder", layers)
        for agent in AGENTS:
            config = TrainConfig(agents=(agent,), encoder=str(folder))
            named[agent, layers] = training_key(world, config, selection).encoder
    texts = {agent for agent in AGENTS if named[agent, 1] != named[agent, 2]}
    assert texts == {"knowledge", "semantic", "sequential"}


@dataclass(frozen=True)
class First(Workers):
    """The first of several processes, which tells the others."""

    told: list[Any] = field(default_factory=list)

    def once(self, work: Callable[[], Any]) -> Any:
        self.told.append(work())
        return self.told[-1]


class Second(First):
    """One of the others, which hears."""

    def once(self, work: Callable[[], Any]) -> Any:
        return self.told.pop(0)


def test_all_processes_call_the_model_by_one_name(
    load: Load, empty_store: GraphStore, tmp_path: Path
) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    expected = train(empty_store, "movies", CONFIG, home=tmp_path).model_id
    first = First()
    train(empty_store, "movies", CONFIG, home=tmp_path, workers=first)
    second = Second(rank=1, world=2, told=first.told)
    other = CONFIG.model_copy(update={"device": "cuda:1"})
    found = train(empty_store, "movies", other, home=tmp_path, workers=second)
    assert found.model_id == expected


def test_a_model_carries_what_it_learned_from(
    load: Load, empty_store: GraphStore, tmp_path: Path
) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    config = TrainConfig(agents=("linear",), validation=0.3, at_least={"rating": 4})
    done = train(empty_store, "movies", config, home=tmp_path)
    assert done.interactions == 24
    team = load_team(tmp_path / "models" / done.model_id)
    assert team.config["selection"] == {
        "domain": "movies",
        "kinds": None,
        "at_least": {"rating": 4.0},
    }
    assert team.items.ids == ("1", "2", "3")
    assert done.metrics["refit"] is True


@pytest.mark.parametrize(("order", "told"), [("time", True), ("random", False)])
def test_choices_know_the_time_of_the_request_where_the_latest_are_held_out(
    order: str,
    told: bool,
    load: Load,
    empty_store: GraphStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    seen = []

    def noted(*given: Any, **more: Any) -> Team:
        seen.append((given[1], more["requested"]))
        return fit_team(*given, **more)

    monkeypatch.setattr("kgrec.stages.train.fit_team", noted)
    settings = {"agents": ("linear",), "validation": 0.3, "order": order}
    train(empty_store, "movies", TrainConfig.model_validate(settings), home=tmp_path)
    [(held_out, requested)] = seen
    assert (requested is not None) is told
    if told:
        assert requested[held_out.user].tolist() == held_out.at.tolist()
        assert min(held_out.at) > 0


def test_a_team_may_be_chosen_on_items_that_it_has_not_seen(
    load: Load, empty_store: GraphStore
) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    dataset = read_dataset(empty_store, Selection(domain="movies"))
    config = TrainConfig(validation=0.4, order="items", seed=3)
    learned, held_out = held_apart(dataset, config)
    assert held_out is not None
    assert len(learned.interactions) + len(held_out) == len(dataset.interactions)
    assert set(held_out.item.tolist()).isdisjoint(learned.interactions.item.tolist())
    assert 0 < len(held_out) < len(dataset.interactions)


def test_nothing_to_learn_from_is_a_clear_error(
    load: Load, empty_store: GraphStore, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no items"):
        train(empty_store, "movies", CONFIG, home=tmp_path)
    load("catalog", FILMS)
    with pytest.raises(DataError, match="no interaction"):
        train(empty_store, "movies", CONFIG, home=tmp_path)
    load("interactions", RATINGS)
    with pytest.raises(ConfigError, match="of kind 'raiting'"):
        train(empty_store, "movies", TrainConfig(kinds=("raiting",)), home=tmp_path)
    with pytest.raises(ConfigError, match="no such agent"):
        train(empty_store, "movies", TrainConfig(agents=("linaer",)), home=tmp_path)


def test_the_command_trains_and_says_what(command: Command, load: Load, home: Path) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    options = ["--domain", "movies", "--agents", "linear"]
    code, said, err = command("train", *options, "--json")
    assert (code, err) == (0, "")
    done = json.loads(said)
    assert (home / "models" / done["model_id"] / "config.json").is_file()
    code, said, _ = command("train", *options)
    assert code == 0
    assert f"{done['model_id']} was trained on just this" in said
    code, _, err = command("train", "--agents", "linaer")
    assert code == 2
    assert "Did you mean 'linear'" in err


class Stopped(BaseException):
    """What takes the place of a killed process."""


class Impatient:
    """Progress that ends the process at the second training."""

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Impatient]:
        if "0.5" in name:
            raise Stopped
        yield self

    def advance(self, steps: float = 1) -> None:
        pass

    def describe(self, text: str) -> None:
        pass


def test_a_training_that_was_stopped_goes_on_and_leaves_no_state_behind(
    load: Load, empty_store: GraphStore, tmp_path: Path
) -> None:
    load("catalog", FILMS)
    load("interactions", ratings(12))
    settings = {"collaborative": {"embedding_dim": 4, "schedule": {"steps": 4, "check_from": 2}}}
    config = TrainConfig(agents=("collaborative",), validation=0.3, refit=False, settings=settings)
    with pytest.raises(Stopped):
        train(empty_store, "movies", config, home=tmp_path, progress=Impatient())
    (state,) = (tmp_path / "checkpoints").glob("*/*.safetensors")
    assert state.name == "collaborative-tau-0.3.safetensors"
    done = train(empty_store, "movies", config, home=tmp_path, logs=tmp_path / "logs")
    assert done.trained
    assert not state.parent.exists()
    logs = {path.name: len(read_log(path)) for path in (tmp_path / "logs").glob("*.csv")}
    assert logs["collaborative-tau-0.5.csv"] == 4
    assert logs["collaborative-tau-0.3.csv"] == 0  # all its steps were done before there was a log
