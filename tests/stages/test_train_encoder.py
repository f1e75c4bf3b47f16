"""`kgrec train encoder`, from files and from the graph, and what the agents make of its folder."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from chat_server import chat_server, reply
from shelves import matrix, quick, small_model, texts
from small_tables import Command, Load

from kgrec.data.atomic import read_folder
from kgrec.errors import DataError, ModelError
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.learning.fit_team import fit_team
from kgrec.learning.team_config import TeamConfig
from kgrec.progress import SilentProgress, Task
from kgrec.stages.encoder import catalogue_of, train_encoder
from kgrec.stages.train import TrainConfig, held_apart, train
from kgrec.text.language_model import ChatEndpoint


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("base") / "model", layers=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shelves as atomic files."""
    folder = tmp_path_factory.mktemp("shelves")
    rows = [f"u{user}\ti{item}" for user, item in zip(*matrix().nonzero(), strict=True)]
    header = "user_id:token\titem_id:token"
    parts = {"train": rows[::2], "valid": rows[1::4], "test": rows[3::4]}
    for name, part in parts.items():
        (folder / f"shelves.{name}.inter").write_text("\n".join([header, *part, ""]))
    items = [f"i{n}\t{text}" for n, text in enumerate(texts())]
    (folder / "shelves.item").write_text("\n".join(["item_id:token\ttitle:token_seq", *items, ""]))
    return folder


def settings(folder: Path, base: Path, **changed: object) -> Path:
    """Write the settings of a quick adaptation."""
    config = quick(base, **changed).model_dump(mode="json", exclude_none=True)
    path = folder / "encoder.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in config.items() if _plain(value)]
    for phase in ("masked", "contrast"):
        lines += [f"[{phase}]", f"batch = {config[phase]['batch']}", f"[{phase}.schedule]"]
        lines += [f"{k} = {json.dumps(v)}" for k, v in config[phase]["schedule"].items()]
    path.write_text("\n".join(lines))
    return path


def _plain(value: object) -> bool:
    return not isinstance(value, dict)


def test_the_command_adapts_to_files_and_finds_the_encoder_again(
    command: Command, base: Path, data: Path, tmp_path: Path
) -> None:
    out, toml = tmp_path / "encoder", settings(tmp_path, base)
    options = ["--data", data, "--config", toml, "--out", out]
    code, said, err = command("train", "encoder", *options, "--json")
    assert (code, err) == (0, "")
    done = json.loads(said)
    assert done["trained"] is True
    assert (done["texts"], done["alike"]) == (60, 0)
    assert set(done["phases"]) == {"masked", "contrast"}
    assert done["phases"]["contrast"]["after"] > done["phases"]["contrast"]["before"]
    record = json.loads((out / "kgrec.json").read_text())
    assert record["settings"]["base"] == str(base)
    assert record["summary"]["phases"] == done["phases"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder", "encoder.toml"]
    weights = (out / "model.safetensors").read_bytes()
    code, said, _ = command("train", "encoder", *options)
    assert code == 0
    assert "was trained on just this" in " ".join(said.split())
    assert "contrast:" in said
    assert (out / "model.safetensors").read_bytes() == weights


def test_what_a_protocol_holds_out_is_not_learned_from(
    command: Command, base: Path, data: Path, tmp_path: Path
) -> None:
    toml = settings(tmp_path, base)
    shared = ["train", "encoder", "--data", data, "--config", toml, "--no-masked", "--json"]
    pairs = {}
    for share in ("0.1", "0.4"):
        options = ["--protocol", "cold-item", "--share", share, "--out", tmp_path / share]
        code, said, err = command(*shared, *options)
        assert (code, err) == (0, "")
        pairs[share] = json.loads(said)["co_occurring"]
    # Of 60 items 48 or 12 are learned from, each with all others of its shelf at most.
    assert pairs["0.4"] < pairs["0.1"] / 3


def test_a_team_encodes_with_the_folder_that_its_settings_name(
    base: Path, data: Path, tmp_path: Path
) -> None:
    split = read_folder(data)
    out = tmp_path / "encoder"
    train_encoder(split.train, out, quick(base, masked=None), cache=tmp_path)
    alone = {"agents": ("semantic",), "settings": {"semantic": {"steps": 0, "embedding_dim": 64}}}
    measured = {
        name: fit_team(split.train, split.valid, TeamConfig(**alone, encoder=str(name)))
        for name in (base, out)
    }
    validation = {name: team.metrics["validation"]["semantic"] for name, team in measured.items()}
    assert validation[out] > 1.1 * validation[base]
    with pytest.raises(ModelError, match="no transformer model"):
        fit_team(split.train, split.valid, TeamConfig(**alone, encoder=str(tmp_path / "none")))


def test_a_language_model_and_synonyms_change_the_texts(
    base: Path, data: Path, tmp_path: Path
) -> None:
    split = read_folder(data)
    synonyms = tmp_path / "synonyms.txt"
    synonyms.write_text("red, scarlet\n")
    config = quick(base, masked=None)
    with chat_server(lambda body: reply(f"It is {body['messages'][1]['content']}")) as server:
        endpoint = ChatEndpoint(server.url, "tiny")
        options = {"cache": tmp_path / "cache", "synonyms": synonyms, "model": endpoint}
        done = train_encoder(split.train, tmp_path / "one", config, **options)  # type: ignore[arg-type]
        train_encoder(split.train, tmp_path / "two", config, **options)  # type: ignore[arg-type]
    assert done.paraphrases == 60
    assert len(server.requests) == 60
    plain = train_encoder(split.train, tmp_path / "plain", config, cache=tmp_path)
    assert plain.phases["contrast"]["losses"] != done.phases["contrast"]["losses"]


def test_the_graph_is_adapted_to_and_its_model_knows_the_encoder(
    command: Command, load: Load, base: Path, empty_store: GraphStore, home: Path, tmp_path: Path
) -> None:
    films = [f'{n},"{text}",1990,Drama,Director {n % 4}' for n, text in enumerate(texts())]
    load("catalog", "\n".join(["movie_id,title,year,genres,director", *films, ""]))
    pairs = zip(*matrix().nonzero(), strict=True)
    taken = [f"u{user},{item},5,{881_250_949 + user}" for user, item in pairs]
    load("interactions", "\n".join(["user_id,movie_id,rating,timestamp", *taken, ""]))
    toml = settings(tmp_path, base, facts=0.5)
    options = ["--domain", "movies", "--config", toml, "--no-masked", "--budget", "1s"]
    code, said, err = command("train", "encoder", *options, "--json")
    assert (code, err) == (0, "")
    done = json.loads(said)
    folder = home / "encoders" / "movies"
    assert done["folder"] == str(folder)
    assert done["alike"] > 0
    plain = TrainConfig(agents=("semantic",), validation=0.0, encoder=str(base))
    first = train(empty_store, "movies", plain, home=tmp_path)
    adapted = plain.model_copy(update={"encoder": str(folder)})
    second = train(empty_store, "movies", adapted, home=tmp_path)
    assert second.model_id != first.model_id
    assert not train(empty_store, "movies", adapted, home=tmp_path).trained
    _, said, _ = command("train", "encoder", *options, "--seed", "7", "--json")
    whole = read_dataset(empty_store, plain.selection("movies"))
    taken = {}
    for seed in (plain.seed, 7):
        part, _ = held_apart(whole, TrainConfig(seed=seed))
        learned = catalogue_of(part, quick(base)).co_occurring
        taken[seed] = 0 if learned is None else learned.nnz
    assert (done["co_occurring"], json.loads(said)["co_occurring"]) == (taken[plain.seed], taken[7])
    assert taken[plain.seed] != taken[7]
    assert train(empty_store, "movies", adapted, home=tmp_path).model_id != second.model_id


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--no-masked", "--no-contrast"], 2, "both phases are disabled"),
        (["--budget", "soon"], 2, "not a duration"),
        (["--paraphrase"], 2, "no language model"),
        (["--base", "./nowhere"], 5, "no transformer model"),
        (["--facts", "2"], 2, "facts"),
        (["--protocol", "lukewarm"], 2, "protocol"),
        (["--share", ".2"], 2, "would do nothing: '--share'"),
        (["--synonyms", "nowhere.txt"], 3, "cannot be read"),
        (["--device", "abacus"], 2, "device"),
        (["--domain", "movies"], 2, "would do nothing: '--domain'"),
        (["--cut", "user"], 2, "would do nothing: '--cut'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    command: Command,
    data: Path,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.delenv("KGREC_LLM_URL", raising=False)
    given = ["--data", data, "--config", settings(tmp_path, base), "--out", tmp_path / "out"]
    left, _, err = command("train", "encoder", *given, *options)
    assert (left, words in err) == (code, True), err
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_encoder_are_never_replaced(
    base: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(DataError, match="replace"):
        train_encoder(read_folder(data).train, tmp_path, quick(base), cache=tmp_path)
    assert (tmp_path / "precious").exists()


@pytest.mark.parametrize("option", [["--protocol", "warm"], ["--share", "0.2"]])
def test_a_protocol_is_of_files_alone(command: Command, option: list[str]) -> None:
    code, _, err = command("train", "encoder", *option)
    assert (code, option[0] in err) == (2, True), err


def test_what_a_killed_run_with_other_settings_left_is_in_nobodys_way(
    base: Path, data: Path, tmp_path: Path
) -> None:
    train, out = read_folder(data).train, tmp_path / "encoder"

    class Killed(SilentProgress):
        def task(self, name: str, total: float | None = None) -> AbstractContextManager[Task]:
            if name == "contrast":
                raise KeyboardInterrupt
            return super().task(name, total)

    with pytest.raises(KeyboardInterrupt):
        train_encoder(train, out, quick(base), cache=tmp_path, budget=60, progress=Killed())
    assert list(tmp_path.glob(".encoder.work/*/masked.safetensors"))
    done = train_encoder(train, out, quick(base, seed=7, contrast=None), cache=tmp_path)
    assert done.trained
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


def test_a_broken_record_is_overcome_by_force(base: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoder"
    out.mkdir()
    (out / "kgrec.json").write_text("{")
    train, config = read_folder(data).train, quick(base, masked=None)
    with pytest.raises(ModelError, match="broken"):
        train_encoder(train, out, config, cache=tmp_path)
    assert train_encoder(train, out, config, cache=tmp_path, force=True).trained
