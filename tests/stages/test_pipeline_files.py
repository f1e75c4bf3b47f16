"""Pipeline files: checked as a whole, changed by settings, run in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_tables import FILMS, RATINGS, Command

from kgrec.cli.run import StageName
from kgrec.errors import ConfigError, SchemaError
from kgrec.graph.store import GraphStore
from kgrec.resources import resource_dir
from kgrec.stages.pipeline import STAGES, find_pipeline, load_pipeline, selected_stages

FILE = """
name = "small"
domain = "movies"

[variables]
data = "tables"

[[sources]]
kind = "catalog"
path = "{data}/films.csv"
relations = { HAS_GENRE = "genres:|" }
move_article = true

[[sources]]
kind = "catalog"
path = "{data}/people.csv"
optional = true

[[sources]]
kind = "interactions"
path = "{data}/ratings.csv"
value_range = [1, 5]

[train]
agents = ["linear"]
validation = 0.0
at_least = { rating = 2 }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "films.csv").write_text(FILMS, encoding="utf-8")
    (tmp_path / "tables" / "ratings.csv").write_text(RATINGS, encoding="utf-8")
    path = tmp_path / "small.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_paths_are_relative_to_the_file(file: Path) -> None:
    pipeline = load_pipeline(file)
    assert pipeline.sources[0].path == file.parent / "tables" / "films.csv"
    assert pipeline.train.agents == ("linear",)
    assert pipeline.train.selection("movies").at_least == {"rating": 2}


def test_a_trained_extractor_lies_beside_the_file(file: Path) -> None:
    named = load_pipeline(file, ["extract.trained=model"]).extract["trained"]
    assert named == str(file.parent / "model")


def test_an_encoder_may_be_a_folder_beside_the_file(file: Path) -> None:
    folder = file.parent / "encoder"
    folder.mkdir()
    (folder / "config.json").touch()
    (folder / "model.safetensors").touch()
    assert load_pipeline(file, ["train.encoder=encoder"]).train.encoder == str(folder)
    named = "sentence-transformers/all-MiniLM-L6-v2"
    assert load_pipeline(file).train.encoder == named
    with pytest.raises(ConfigError, match=r"small.toml: \[train\]: there is no transformer model"):
        load_pipeline(file, ["train.encoder=./nowhere"])


def test_settings_change_variables_and_keys(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "here" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    settings = ["data=mine", "train.seed=7", 'train.agents=["linear"]', "name=other"]
    pipeline = load_pipeline(file, settings)
    assert pipeline.sources[0].path == tmp_path / "here" / "mine" / "films.csv"
    assert (pipeline.train.seed, pipeline.name) == (7, "other")
    with pytest.raises(ConfigError, match="Did you mean 'data'"):
        load_pipeline(file, ["dta=mine"])
    with pytest.raises(ConfigError, match="NAME=VALUE"):
        load_pipeline(file, ["data"])


def test_variables_that_are_no_table_are_an_error(file: Path) -> None:
    table = FILE[FILE.index("[variables]") : FILE.index("[[sources]]")]
    file.write_text("variables = 3\n" + FILE.replace(table, "", 1), encoding="utf-8")
    with pytest.raises(ConfigError, match="variables"):
        load_pipeline(file, ["name=other"])


def test_a_missing_file_is_not_taken_for_one_of_kgrec(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such pipeline"):
        find_pipeline(tmp_path / "pipelines" / "movielens.toml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("move_article", "move_articles", "sources.1.catalog.move_articles|move_articles"),
        ("[train]", "[training]", "training"),
        ('agents = ["linear"]', "agent = 1", "agent"),
        ('kind = "interactions"', 'kind = "ratings"', "ratings"),
        ("optional = true", 'dataset = "x"', "either a path, an address or a dataset"),
        ('name = "small"', "", "name"),
        ("validation = 0.0", "validation = 2", "validation"),
        ("{ rating = 2 }", "{ raiting = 2 }", "raiting"),
        ("validation = 0.0", 'kinds = ["vieuw"]', "vieuw"),
        ('agents = ["linear"]', 'agents = ["linaer"]', "Did you mean 'linear'"),
        ("validation = 0.0", "settings.linaer.x = 1", "linaer"),
        ("validation = 0.0", "settings.linear.x = 1", "unknown key 'x'"),
        ("validation = 0.0", "coordinator.weights.linaer = 1", "linaer"),
        ('domain = "movies"', 'domain = "opera"', "opera"),
        ("[variables]", "[variables", "TOML"),
    ],
)
def test_a_wrong_key_or_value_names_itself_and_the_file(
    file: Path, old: str, new: str, says: str
) -> None:
    file.write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises((ConfigError, SchemaError)) as caught:
        load_pipeline(file)
    assert any(part in str(caught.value) for part in says.split("|"))
    assert "opera" in says or str(file) in str(caught.value)


def test_a_domain_may_be_a_file_beside_the_pipeline(file: Path) -> None:
    own = (resource_dir("graph_schema") / "domains" / "music.toml").read_text(encoding="utf-8")
    (file.parent / "own.toml").write_text(own.replace("music", "opera", 1), encoding="utf-8")
    file.write_text(FILE.replace('domain = "movies"', 'domain = "own.toml"'), encoding="utf-8")
    assert load_pipeline(file).domain == str((file.parent / "own.toml").resolve())


@pytest.mark.parametrize("path", sorted(resource_dir("pipelines").glob("*.toml")))
def test_the_pipelines_that_come_with_kgrec_are_sound(path: Path) -> None:
    pipeline = load_pipeline(path)
    assert pipeline.stages == STAGES
    assert find_pipeline(Path(path.stem)) == path


def test_stages_are_chosen_in_their_order(file: Path) -> None:
    pipeline = load_pipeline(file)
    assert selected_stages(pipeline) == STAGES
    assert selected_stages(pipeline, only="train") == ("train",)
    assert selected_stages(pipeline, first="train") == ("train", "publish")
    with pytest.raises(ConfigError, match="exclude each other"):
        selected_stages(pipeline, only="train", first="ingest")
    assert tuple(name.value for name in StageName) == STAGES


def test_a_pipeline_runs_and_runs_again(
    command: Command, file: Path, empty_store: GraphStore
) -> None:
    stages = ["--stage", "ingest"]
    code, said, err = command("run", file, *stages)
    assert (code, err) == (0, "")
    assert "3 rows: 3 created" in said
    assert "not there, left out." in said
    assert "4 rows: 4 created, 2 users created." in said
    code, said, _ = command("run", file, *stages)
    assert said.count("unchanged") == 2
    code, said, _ = command("run", file, "--from", "train")
    assert code == 0
    assert "is live: 3 items" in said
    code, said, _ = command("run", file, "--from", "train")
    assert code == 0
    assert "was trained on just this" in said
    assert "unchanged." in said
    rows = empty_store.query("MATCH (m:Model) WHERE m.live = 1 RETURN count(m) AS n").rows
    assert rows[0]["n"] == 1


def test_a_wrong_source_stops_the_run_before_anything_is_loaded(
    command: Command, file: Path, empty_store: GraphStore
) -> None:
    (file.parent / "tables" / "ratings.csv").unlink()
    code, _, err = command("run", file)
    assert code == 3
    assert "ratings.csv" in err
    assert empty_store.query("MATCH (n:Item) RETURN count(n) AS n").rows[0]["n"] == 0
    code, _, err = command("run", file.parent / "none.toml")
    assert code == 2
    assert "movielens" in err


def test_what_was_done_is_shown_even_if_a_later_stage_fails(
    command: Command, file: Path, empty_store: GraphStore
) -> None:
    ratings = file.parent / "tables" / "ratings.csv"
    ratings.write_text(RATINGS + "ann,3,9,881250949\n", encoding="utf-8")
    text = file.read_text(encoding="utf-8")
    own = 'domain = "movies"\nstages = ["ingest", "train"]'
    file.write_text(text.replace('domain = "movies"', own), encoding="utf-8")
    code, said, err = command("run", file, "--set", "train.at_least.rating=6")
    assert code != 0
    assert err
    assert "ingest films: 3 rows: 3 created" in said
    assert "1 rows set aside from" in said


def test_the_settings_of_extraction_are_checked_first(
    command: Command, file: Path, empty_store: GraphStore
) -> None:
    code, _, err = command("run", file, "--set", "extract.modle=x")
    assert code == 2
    assert "modle" in err
    assert empty_store.query("MATCH (n:Item) RETURN count(n) AS n").rows[0]["n"] == 0
