"""`kgrec init`: public tables to recommendations with reasons, and files of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from wild_tables import ITEMS, PAIRS, WILD, half

from kgrec.graph.pages import user_pages
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.retrieval.recommender import Recommender
from kgrec.schema import load_schema
from kgrec.stages.pipeline import Pipeline, load_pipeline
from kgrec.stages.run import run_pipeline

Command = Callable[..., tuple[int, str, str]]
READY = sorted(name for name, one in WILD.items() if not one.edits)
# Each takes some seconds to be loaded and trained on; a full run takes all of them that far.
WHOLE = READY if os.environ.get("KGREC_TEST_EVERY_TABLE") else READY[::2]


def put(folder: Path, name: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for file, content in WILD[name].files.items():
        (folder / file).write_bytes(content)
    return sorted(folder.iterdir())


def proposed(name: str, folder: Path, command: Command) -> Pipeline:
    """Have a public table looked at, and return the pipeline that was written."""
    wild = WILD[name]
    code, text, error = command(
        "init", *put(folder / "data", name), "--yes", "--json", "--out", folder / "out"
    )
    assert code == 0, error
    found = json.loads(text)
    assert Path(found["domain"]).stem == wild.domain
    assert (found["domain_file"] is not None) == wild.written
    assert [one["path"] for one in found["left_out"]] == list(wild.left)
    return load_pipeline(folder / "out" / "pipeline.toml", ['train.agents=["linear"]'])


@pytest.mark.parametrize("name", [name for name in READY if name not in WHOLE])
def test_public_tables_are_understood(tmp_path: Path, command: Command, name: str) -> None:
    assert proposed(name, tmp_path, command).sources


@pytest.mark.parametrize("name", WHOLE)
def test_public_tables_become_recommendations_with_reasons(
    empty_store: GraphStore, home: Path, tmp_path: Path, command: Command, name: str
) -> None:
    wild = WILD[name]
    pipeline = proposed(name, tmp_path, command)
    results = run_pipeline(empty_store, pipeline, ("ingest", "train", "publish"), home=home)
    assert sum(result.detail.get("rejected", 0) for result in results) == wild.rejected
    for result in results:
        assert result.detail.get("cells_rejected", 0) == 0, result.detail
    data = read_dataset(empty_store, pipeline.train.selection(pipeline.domain))
    assert len(data.items) == wild.items
    least = 0.85 * len(PAIRS) - wild.rejected
    assert len(data.interactions.item) >= least  # low ratings do not count
    used = {data.facts.relations[row] for row in set(data.facts.relation.tolist())}
    assert set(wild.facts) <= used
    kinds = empty_store.query("MATCH ()-[x:INTERACTED]->() RETURN DISTINCT x.kind AS kind").rows
    assert wild.kind in {row["kind"] for row in kinds}
    recommender = Recommender(empty_store, home / "models")
    users = [user for page in user_pages(empty_store) for user in page["ids"]]
    answers = [recommender.recommend(user, 5) for user in users[:10]]
    assert all(len(answer.items) == 5 and not answer.fallback for answer in answers)
    assert all(item.reasons and item.title for answer in answers for item in answer.items)


def test_what_is_written_teaches_and_is_read_as_it_was_guessed(
    tmp_path: Path, command: Command
) -> None:
    files = put(tmp_path / "data", "Book-Crossing")
    code, text, _ = command("init", *files, "--yes", "--out", tmp_path)
    assert code == 0
    assert "domain books: it knows" in text
    assert "it is not UTF-8" in text
    assert f"kgrec run {tmp_path / 'pipeline.toml'}" in text
    written = (tmp_path / "pipeline.toml").read_text(encoding="utf-8")
    assert "Image-URL-S" in written
    values = tomllib.loads(written)
    assert [one["kind"] for one in values["sources"]] == ["catalog", "users", "interactions"]
    assert values["sources"][0]["path"] == "data/BX-Books.csv"
    assert values["sources"][0]["encoding"] == "latin-1"
    assert values["sources"][2]["value_range"] == [1, 10]
    assert values["train"]["at_least"] == {"rating": 6}


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path, command: Command) -> None:
    files = put(tmp_path / "data", "goodbooks-10k")
    assert command("init", *files, "--yes", "--out", tmp_path)[0] == 0
    code, _, error = command("init", *files, "--yes", "--out", tmp_path)
    assert code == 2
    assert "--force" in error
    assert command("init", *files, "--yes", "--out", tmp_path, "--force")[0] == 0


def test_files_of_no_use_are_named_with_their_reasons(tmp_path: Path, command: Command) -> None:
    files = put(tmp_path / "data", "MIND")
    code, _, error = command("init", *files, "--yes", "--out", tmp_path)
    assert code == 3
    assert "news.tsv" in error
    assert "behaviors.tsv" in error
    assert not (tmp_path / "pipeline.toml").exists()
    code, _, error = command("init", tmp_path / "nothing.csv", "--yes")
    assert code == 3
    assert "no such file" in error
    code, _, error = command("init")
    assert code == 2
    assert "--domain" in error


def test_a_folder_is_looked_through_and_a_readme_left(tmp_path: Path, command: Command) -> None:
    put(tmp_path / "data", "goodbooks-10k")
    (tmp_path / "data" / "LICENSE").write_text("free", encoding="utf-8")
    (tmp_path / "data" / "book_tags.csv").unlink()
    (tmp_path / "data" / "tags.csv").write_text("tag_id,tag_name\n1,blue\n", encoding="utf-8")
    code, text, error = command("init", tmp_path / "data", "--json", "--out", tmp_path)
    assert code == 0, error
    found = json.loads(text)
    assert [one["path"] for one in found["left_out"]] == ["tags.csv"]
    assert len(found["sources"]) == 2


CARS = "car_id,name,maker,fuel,doors,colour,tested\n" + "".join(
    f"{n},Car {n},{'Volta' if n % 2 else 'Asteria'},{'petrol|gas' if n % 3 else 'electric'},"
    f"{3 + n % 3},{'red' if n % 2 else 'blue'},{'well made' * 20} {n}\n"
    for n in range(ITEMS)
)
SEEN = "user_id,car_id,when\n" + "".join(
    f"u{user},{item},{881250949 + n}\n" for n, (user, item) in enumerate(PAIRS)
)


def test_a_domain_is_written_where_none_fits(
    empty_store: GraphStore, home: Path, tmp_path: Path, command: Command
) -> None:
    (tmp_path / "fleet.csv").write_text(CARS, encoding="utf-8")
    (tmp_path / "seen.csv").write_text(SEEN, encoding="utf-8")
    files = (tmp_path / "fleet.csv", tmp_path / "seen.csv")
    code, text, error = command("init", *files, "--yes", "--json", "--out", tmp_path / "out")
    assert code == 0, error
    found = json.loads(text)
    assert found["domain_file"] == str(tmp_path / "out" / "car.toml")
    code, _, error = command("schema", "check", "--domain", found["domain_file"])
    assert code == 0, error
    domain = tomllib.loads((tmp_path / "out" / "car.toml").read_text(encoding="utf-8"))
    assert (domain["item_label"], domain["item_word"]) == ("Car", "car")
    assert domain["item_properties"] == {"doors": "integer"}
    assert domain["relations"]["HAS_FUEL"]["tail"] == "Fuel"
    assert domain["relations"]["HAS_MAKER"]["tail"] == "Person"
    pipeline = load_pipeline(tmp_path / "out" / "pipeline.toml", ['train.agents=["linear"]'])
    run_pipeline(empty_store, pipeline, ("ingest", "train", "publish"), home=home)
    recommender = Recommender(empty_store, home / "models")
    answer = recommender.recommend("u0", 3, filters=["doors=3..4", "fuel=petrol"])
    assert len(answer.items) == 3
    words = {reason.words for item in answer.items for reason in item.reasons}
    assert any("have the" in one for one in words), words


def test_ids_are_those_that_the_interactions_name(tmp_path: Path, command: Command) -> None:
    files = put(tmp_path / "data", "goodbooks-10k")
    ratings = tmp_path / "data" / "ratings.csv"
    text = ratings.read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in text[1:]]
    moved = [f"{user},{1999 + int(book)},{stars}" for user, book, stars in rows]
    ratings.write_text("\n".join(["user_id,book_id,rating", *moved]) + "\n", encoding="utf-8")
    code, out, _ = command("init", *files, "--json", "--out", tmp_path)
    assert code == 0
    catalog = json.loads(out)["sources"][0]
    assert {"what": "item_id", "value": "goodreads_book_id"}.items() <= catalog["guesses"][
        -1
    ].items()


def test_without_files_a_skeleton_of_a_domain_is_written(tmp_path: Path, command: Command) -> None:
    code, text, _ = command("init", "--domain", "shop", "--out", tmp_path)
    assert code == 0
    assert "pipeline.toml" in text
    written = (tmp_path / "pipeline.toml").read_text(encoding="utf-8")
    values = tomllib.loads(written)
    assert [one["kind"] for one in values["sources"]] == ["catalog", "interactions"]
    assert "MADE_BY" in written
    assert "brand" in written
    load_pipeline(tmp_path / "pipeline.toml")
    assert command("init", "--domain", "nothing", "--out", tmp_path / "b")[0] == 2


def test_nobody_is_asked_where_nobody_answers(tmp_path: Path, command: Command) -> None:
    code, _, error = command("init", *put(tmp_path / "data", "Yelp"), "--out", tmp_path)
    assert code == 2
    assert "--yes" in error


def test_articles_behind_titles_and_tags_of_users_are_noticed(
    tmp_path: Path, command: Command
) -> None:
    put(tmp_path / "data", "MovieLens latest")
    links = "movieId,imdbId,tmdbId\n" + "".join(f"{n},{n},{n}\n" for n in range(1, 20))
    (tmp_path / "data" / "links.csv").write_text(links, encoding="utf-8")
    friends = "userID,friendID\n" + "".join(f"{n % 3},{n}\n" for n in range(1, 20))
    (tmp_path / "data" / "user_friends.csv").write_text(friends, encoding="utf-8")
    code, out, _ = command("init", tmp_path / "data", "--json", "--out", tmp_path)
    assert code == 0
    found = json.loads(out)
    assert [one["path"] for one in found["left_out"]] == ["links.csv", "user_friends.csv"]
    tags = found["sources"][1]
    assert tags["kind"] == "catalog"
    assert "each row gives movieId one value: tag as HAS_KEYWORD" in tags["guesses"][0]["why"]
    pipeline = load_pipeline(tmp_path / "pipeline.toml")
    assert [source.move_article for source in pipeline.sources] == [True, False, False]
    assert pipeline.sources[1].relations == {"HAS_KEYWORD": "tag:"}


def test_a_catalogue_alone_is_loaded_and_nothing_trained(tmp_path: Path, command: Command) -> None:
    put(tmp_path / "data", "MovieLens 1M")
    (tmp_path / "data" / "ratings.dat").unlink()
    code, out, _ = command("init", tmp_path / "data", "--yes", "--out", tmp_path)
    assert code == 0
    assert "nothing can be trained yet" in out
    pipeline = load_pipeline(tmp_path / "pipeline.toml")
    assert pipeline.stages == ("ingest", "extract")
    assert pipeline.sources[0].header == ("id", "title", "genres")
    assert pipeline.sources[0].delimiter == "::"


def test_titles_are_ids_where_there_are_no_others(tmp_path: Path, command: Command) -> None:
    rows = "".join(f"Course {n},University {n % 3},Beginner\n" for n in range(9))
    text = "Course Name,University,Difficulty Level\n" + rows
    (tmp_path / "Coursera.csv").write_text(text, encoding="utf-8")
    assert command("init", tmp_path / "Coursera.csv", "--yes", "--out", tmp_path)[0] == 0
    pipeline = load_pipeline(tmp_path / "pipeline.toml")
    assert pipeline.domain == "courses"
    assert pipeline.sources[0].columns == {"item_id": "Course Name", "title": "Course Name"}
    assert pipeline.sources[0].relations.keys() == {"OFFERED_BY", "AT_LEVEL"}


def test_mind_is_read_as_the_docs_have_it_edited(
    empty_store: GraphStore, home: Path, tmp_path: Path
) -> None:
    put(tmp_path, "MIND")
    docs = (Path(__file__).resolve().parents[2] / "docs" / "domains.md").read_text("utf-8")
    part = docs.split("### MIND")[1]
    line, pipeline = part.split("```\n")[1], part.split("```toml\n")[1].split("```")[0]
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    (tmp_path / "mind.toml").write_text(pipeline, encoding="utf-8")
    loaded = load_pipeline(tmp_path / "mind.toml", ['train.agents=["linear"]'])
    results = run_pipeline(empty_store, loaded, ("ingest", "train", "publish"), home=home)
    assert [result.detail.get("rejected", 0) for result in results[:2]] == [0, 0]
    recommender = Recommender(empty_store, home / "models")
    answer = recommender.recommend("U0", 5)
    assert all(one.reasons and one.title for one in answer.items)
    assert len(answer.items) == 5


def test_the_domain_of_the_docs_is_sound(tmp_path: Path, command: Command) -> None:
    docs = (Path(__file__).resolve().parents[2] / "docs" / "domains.md").read_text("utf-8")
    path = tmp_path / "wines.toml"
    path.write_text(docs.split("```toml\n")[-1].split("```")[0], encoding="utf-8")
    code, text, _ = command("schema", "check", path, "--json")
    assert (code, json.loads(text)["faults"]) == (0, [])
    sentence = "A red blend from Porto."
    code, text, _ = command("extract", "--domain", path, "--dry-run", "--json", "--text", sentence)
    assert code == 0
    assert [fact["name"] for fact in json.loads(text)["facts"]] == ["Porto"]


def test_the_docs_name_every_data_set_and_domain() -> None:
    docs = (Path(__file__).resolve().parents[2] / "docs" / "domains.md").read_text("utf-8")
    for name, wild in WILD.items():
        [row] = [line for line in docs.splitlines() if line.startswith(f"| {name} |")]
        assert row.endswith("| nothing |") == (not wild.edits)
        assert all(relation in row for relation in wild.facts if not wild.edits)
    for domain in load_schema().domains.values():
        [row] = [line for line in docs.splitlines() if line.startswith(f"| `{domain.name}` |")]
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[3].split(", ") == list(domain.item_properties)
        assert set(cells[4].split(", ")) == set(domain.facts)


def test_halves_are_found_again() -> None:
    assert sum(half(item) == user % 2 for user, item in PAIRS) / len(PAIRS) > 0.85


def test_addresses_are_looked_at(command: Command, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    films = "movie_id,title,year\n" + "".join(f"{n},Film {n},{1950 + n}\n" for n in range(60))
    seen = "user_id,movie_id,rating\n" + "".join(
        f"u{n % 9},{n % 60},{n % 5 + 1}\n" for n in range(90)
    )
    for name, text in (("films.csv", films), ("seen.csv", seen)):
        with fsspec.open(f"memory://init/{name}", "wt") as file:
            file.write(text)
    addresses = ("memory://init/films.csv", "memory://init/seen.csv")
    code, text, _ = command("init", *addresses, "--yes", "--out", tmp_path, "--json")
    assert code == 0, text
    written = (tmp_path / "pipeline.toml").read_text()
    assert all(f'path = "{one}"' in written for one in addresses)
    assert [one.address for one in load_pipeline(tmp_path / "pipeline.toml").sources] == [
        *addresses
    ]
    address = "https://ann:very-secret@host/films.csv"
    code, _, error = command("init", address, "--yes", "--out", tmp_path / "other")
    assert code == 2
    assert "secrets" in error
    assert "very-secret" not in error


def pipeline_of(tmp_path: Path, command: Command, name: str) -> Pipeline:
    code, _, error = command("init", *put(tmp_path / "data", name), "--yes", "--out", tmp_path)
    assert code == 0, error
    return load_pipeline(tmp_path / "pipeline.toml")


def test_lists_that_the_line_of_names_types_are_cut_at_spaces(
    tmp_path: Path, command: Command
) -> None:
    sources = pipeline_of(tmp_path, command, "RecBole MovieLens 100K").sources
    assert sources[0].relations == {"HAS_GENRE": "class: "}
    assert [source.kind for source in sources] == ["catalog", "users", "interactions"]


def test_a_minus_one_among_ratings_stands_for_none(tmp_path: Path, command: Command) -> None:
    pipeline = pipeline_of(tmp_path, command, "MyAnimeList")
    assert pipeline.sources[1].value_range == (1, 10)
    domain = tomllib.loads((tmp_path / "anime.toml").read_text(encoding="utf-8"))
    assert domain["item_properties"] == {
        "episodes": "integer", "rating": "float", "members": "integer",
    }  # fmt: skip


def test_items_of_interactions_are_found_by_their_values(tmp_path: Path, command: Command) -> None:
    catalogue = "show_id,title,director,cast\n" + "".join(
        f's{n},Show {n},Ann Lee,"Bo Ray, Cy Fox"\n' for n in range(ITEMS)
    )
    (tmp_path / "titles.csv").write_text(catalogue, encoding="utf-8")
    seen = "user,watched\n" + "".join(f"u{user},s{item}\n" for user, item in PAIRS)
    (tmp_path / "log.csv").write_text(seen, encoding="utf-8")
    followed = "user,friend_id\n" + "".join(f"u{user},s{item}\n" for user, item in PAIRS)
    (tmp_path / "friends.csv").write_text(followed, encoding="utf-8")
    code, out, _ = command("init", tmp_path, "--json", "--out", tmp_path / "out")
    assert code == 0
    found = json.loads(out)
    assert [one["path"] for one in found["left_out"]] == ["friends.csv"]
    pipeline = load_pipeline(tmp_path / "out" / "pipeline.toml")
    assert pipeline.sources[1].columns == {"user_id": "user", "item_id": "watched"}


def test_a_log_of_events_without_names_is_named_by_its_values(
    tmp_path: Path, command: Command
) -> None:
    [source] = pipeline_of(tmp_path, command, "Steam 200k").sources
    assert source.header == ("user_id", "item_id", "event", "column_4", "column_5")
    assert source.create_items
