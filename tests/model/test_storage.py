"""A model's id is its content; what was changed on disk is found out; older folders are read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from test_ranked_team import random_history, ranked_team
from test_team import random_team

import kgrec
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.model.record import read_record
from kgrec.model.storage import load_team, map_weights, save_model, save_team, team_id


def test_the_id_is_of_the_content_and_of_nothing_else(tmp_path: Path) -> None:
    team = ranked_team(4)
    record = save_model(team, tmp_path)
    assert record.model_id == team_id(team) == (tmp_path / record.model_id).name
    assert record.model_id == team_id(load_team(tmp_path / record.model_id))
    assert team_id(replace(team, metrics={"ndcg": 2.0})) == record.model_id
    factors = np.array(team.kernels[0].item_factors)
    factors[0, 0] = np.nextafter(factors[0, 0], np.float32(9))
    moved = replace(team.kernels[0], item_factors=factors)
    others = [
        replace(team, kernels=(moved, *team.kernels[1:])),
        replace(team, config={"seed": 5}),
        replace(team, items=Vocabulary([*team.items.ids[:-1], "another"])),
        replace(team, ranker=None),
        random_team(5),
    ]
    assert len({record.model_id, *map(team_id, others)}) == 6


def test_no_file_is_ever_unpickled() -> None:
    unsafe = re.compile(
        r"import pickle|pickle\.load|allow_pickle=True|weights_only=False|torch\.load"
    )
    sources = Path(kgrec.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if unsafe.search(path.read_text("utf-8"))] == []


def test_an_id_begins_with_the_domain(tmp_path: Path) -> None:
    team = replace(random_team(1), config={"selection": {"domain": "my/books.toml"}})
    assert save_model(team, tmp_path).model_id.startswith("books-")
    assert team_id(random_team(1)).startswith("all-")


def test_saving_the_same_model_again_leaves_its_content_and_renews_the_record(
    tmp_path: Path,
) -> None:
    record = save_model(random_team(4), tmp_path)
    weights = tmp_path / record.model_id / "model.safetensors"
    before = weights.stat().st_ino
    again = save_model(replace(random_team(4), metrics={"ndcg": 0.5}), tmp_path)
    assert again.model_id == record.model_id
    assert (again.metrics, weights.stat().st_ino) == ({"ndcg": 0.5}, before)
    assert [path.name for path in tmp_path.iterdir()] == [record.model_id]


def test_a_broken_model_is_written_anew(tmp_path: Path) -> None:
    record = save_model(random_team(4), tmp_path)
    (tmp_path / record.model_id / "model.safetensors").write_bytes(b"")
    save_model(random_team(4), tmp_path)
    load_team(tmp_path / record.model_id)


def test_a_folder_that_was_renamed_is_refused(tmp_path: Path) -> None:
    one, two = (save_model(random_team(seed), tmp_path).model_id for seed in (1, 2))
    (tmp_path / one).rename(tmp_path / "mine")  # a name of one's own says nothing
    load_team(tmp_path / "mine")
    (tmp_path / two).rename(tmp_path / one)
    with pytest.raises(ModelError, match="not the one it is named after") as caught:
        load_team(tmp_path / one)
    assert one in str(caught.value.value)
    assert caught.value.remedy


def test_changed_settings_are_found_out(tmp_path: Path) -> None:
    folder = tmp_path / save_model(random_team(4), tmp_path).model_id
    config = json.loads((folder / "config.json").read_text())
    config["shares"]["agent0"] += 0.25
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="not the one it is named after"):
        load_team(folder)


def test_weights_of_another_model_are_found_out(tmp_path: Path) -> None:
    one, two = (tmp_path / save_model(random_team(seed), tmp_path).model_id for seed in (1, 2))
    (two / "model.safetensors").replace(one / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged.*rollback"):
        load_team(one)


@pytest.mark.parametrize("damage", [b"\xff" * 64, b"\x01"])
def test_damaged_weights_are_found_when_they_are_loaded(tmp_path: Path, damage: bytes) -> None:
    folder = tmp_path / save_model(random_team(4), tmp_path).model_id
    load_team(folder)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-len(damage) :] = damage
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged.*rollback"):
        load_team(folder)


def test_mapped_weights_are_those_of_the_file_and_cannot_be_written(tmp_path: Path) -> None:
    team, history = ranked_team(4), random_history(4, 4)
    folder = tmp_path / save_model(team, tmp_path).model_id
    weights = map_weights(folder)
    mapped, read = load_team(folder, weights), load_team(folder)
    assert team_id(mapped) == team_id(read) == folder.name
    assert np.array_equal(mapped.scores(history), read.scores(history))
    assert np.array_equal(mapped.scorer(history).scores(), read.scorer(history).scores())
    for array in weights.arrays.values():
        assert not array.flags.writeable
    factors = mapped.kernels[0].item_factors
    assert factors is not None
    assert np.shares_memory(factors, weights.arrays["agent0.item_factors"])
    with pytest.raises(ValueError, match="read-only"):
        factors[0, 0] = 1.0
    assert not weights.changed()


@pytest.mark.parametrize("damage", [b"\xff" * 64, b"\x01"])
def test_damaged_weights_are_found_when_they_are_mapped(tmp_path: Path, damage: bytes) -> None:
    folder = tmp_path / save_model(random_team(4), tmp_path).model_id
    weights = map_weights(folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-len(damage), 2)
        file.write(damage)
    assert weights.changed()
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged.*rollback"):
        load_team(folder, map_weights(folder))


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 40, b"\x02" + b"\0" * 7 + b"{}"])
def test_a_file_that_cannot_be_mapped_is_named(tmp_path: Path, content: bytes | None) -> None:
    folder = tmp_path / save_model(random_team(4), tmp_path).model_id
    path = folder / "model.safetensors"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError):
        load_team(folder, map_weights(folder))


def test_weights_of_the_older_format_must_be_finite(tmp_path: Path) -> None:
    folder = tmp_path / "movies-0123456789ab-2"
    save_team(ranked_team(4), folder)
    _as_format_3(folder)
    arrays = load_file(folder / "model.safetensors")
    name = next(name for name, array in arrays.items() if array.dtype == np.float32)
    arrays[name] = np.frombuffer(b"\xff" * arrays[name].nbytes, np.float32)
    save_file(arrays, folder / "model.safetensors")
    with pytest.raises(ModelError, match="no finite numbers"):
        load_team(folder)


def test_a_model_of_the_older_format_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    team, history = ranked_team(4), random_history(4, 4)
    folder = tmp_path / "movies-0123456789ab-2"
    save_team(team, folder)
    _as_format_3(folder)
    again = load_team(folder)
    assert "format 3" in caplog.text
    assert again.metrics == {"ndcg": 1.0}
    np.testing.assert_array_equal(team.scores(history), again.scores(history))
    record = read_record(folder)
    assert (record.model_id, record.format, record.key) == (folder.name, 3, None)
    assert record.shares == team.weights
    renewed = save_model(again, tmp_path)
    assert (renewed.format, renewed.model_id) == (5, team_id(team))


def test_a_format_that_is_not_known_is_refused(tmp_path: Path) -> None:
    save_team(random_team(4), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": 2}))
    with pytest.raises(ModelError, match="another format"):
        load_team(tmp_path)


def _as_format_3(folder: Path) -> None:
    """Write a folder as the version before did."""
    content = json.loads((folder / "config.json").read_text())
    record = json.loads((folder / "record.json").read_text())
    del content["arrays"]
    content |= {"format": 3, "kgrec": "0.1.0", "weights": content.pop("shares")}
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "metrics.json").write_text(json.dumps(record["metrics"]))
    (folder / "record.json").unlink()
    old = {
        "ranker.attention_weights": "ranker.attend",
        "ranker.value_weights": "ranker.say",
        "ranker.popularity_weights": "ranker.alike",
        "ranker.item_mean": "ranker.usual",
    }
    arrays = load_file(folder / "model.safetensors")
    save_file({old.get(n, n): a for n, a in arrays.items()}, folder / "model.safetensors")
