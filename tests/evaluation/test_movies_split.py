from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from kgrec.data.atomic import read_whole

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "movies_split.py"
CATALOG = """movie_id,title,year,genres,keywords,language,description
1,"Sea, The",1995,Drama|(no genres listed),big ship|water,en,"A film
about\ta ship."
2,Land,1996,Drama|War,,fr,
3,Unrated,1996,Drama,,fr,Nobody rated it.
"""
PEOPLE = """movie_id,director,actors
1,Ann van Berg,Bo Li|Cy Doe
3,Ann van Berg,
"""
RATINGS = """user_id,movie_id,rating,timestamp
7,1,4.5,1000000000
7,2,3.0,1000000001
8,1,2.5,1000000002
8,2,5.0,1000000003
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    files = {"catalog": CATALOG, "people": PEOPLE, "ratings": RATINGS}
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_films_become_atomic_files(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, source, tmp_path / "out")
    data = read_whole(tmp_path / "out").train
    assert data.items.ids == ("1", "2")
    assert data.users.ids == ("7", "8")
    assert data.interactions.value.tolist() == [4.5, 3.0, 5.0]
    assert data.item_texts == ("The Sea. A film about a ship.", "Land")
    names = dict(zip(data.entities.ids, data.entity_names, strict=True))
    facts = {
        (data.items.id(i), data.facts.relations[r], names[data.entities.id(e)])
        for i, r, e in zip(data.facts.item, data.facts.relation, data.facts.entity, strict=True)
    }
    assert facts == {
        ("1", "HAS_GENRE", "Drama"),
        ("2", "HAS_GENRE", "Drama"),
        ("2", "HAS_GENRE", "War"),
        ("1", "HAS_KEYWORD", "big ship"),
        ("1", "HAS_KEYWORD", "water"),
        ("1", "language", "en"),
        ("2", "language", "fr"),
        ("1", "DIRECTED_BY", "Ann van Berg"),
        ("1", "STARS", "Bo Li"),
        ("1", "STARS", "Cy Doe"),
    }


def test_each_kind_of_knowledge_can_be_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    run(monkeypatch, source, target, "--without-people")
    assert "DIRECTED_BY" not in read_whole(target).train.facts.relations
    run(monkeypatch, source, target, "--without-text", "--without-knowledge")
    bare = read_whole(target).train
    assert not any(bare.item_texts)
    assert not len(bare.facts)


def test_facts_are_read_out_of_the_texts(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = source / "catalog.csv"
    catalog.write_text(
        catalog.read_text().replace(
            "2,Land,1996,Drama|War,,fr,",
            "2,Land,1996,,,,Land is a film directed by Dee Smith and set in Paris.",
        )
    )
    run(monkeypatch, source, tmp_path / "out", "--extracted", "--without-knowledge")
    data = read_whole(tmp_path / "out").train
    assert set(data.entity_names) >= {"Dee Smith", "Paris"}
    assert 0 < data.facts.confidence.min() < 1


def test_a_folder_without_the_files_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="No such file"):
        run(monkeypatch, tmp_path, tmp_path / "out")
