"""How well the rules read: texts annotated by hand, and structured casts where they are there."""

from __future__ import annotations

import csv
import re
import tomllib
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kgrec.schema import load_schema
from kgrec.text.pipeline import Extractor, ItemText, TextFact

_FILE = Path(__file__).parent / "annotated_movies.toml"
_FLOORS = {"DIRECTED_BY": (0.95, 0.85), "STARS": (0.95, 0.85)}


@pytest.fixture(scope="module")
def annotated() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def read(annotated: dict[str, Any]) -> list[tuple[ItemText, list[TextFact], set[tuple[str, str]]]]:
    extractor = Extractor(load_schema().domain("movies"))
    texts = [ItemText(str(i), t["title"], t["text"]) for i, t in enumerate(annotated["texts"])]
    gold = [{tuple(f.split(" ", 1)) for f in t["facts"]} for t in annotated["texts"]]
    return [(*pair, facts) for pair, facts in zip(extractor.read(texts), gold, strict=True)]


def test_there_is_enough_to_judge_by(annotated: dict[str, Any]) -> None:
    assert len(annotated["texts"]) >= 40
    for text in annotated["texts"]:
        for fact in text["facts"]:
            assert fact.split(" ", 1)[0] in annotated["relations"]
            assert fact.split(" ", 1)[1] in text["text"] or " Wilder" in fact


def test_precision_and_recall(annotated: dict[str, Any], read: list[Any]) -> None:
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    wrong = []
    for item, facts, gold in read:
        mine = {(f.relation, f.entity_name) for f in facts if f.relation in annotated["relations"]}
        for relation, _ in mine & gold:
            right[relation] += 1
        found.update(relation for relation, _ in mine)
        wanted.update(relation for relation, _ in gold)
        wrong += [("false", item.title, *f) for f in sorted(mine - gold)]
        wrong += [("missed", item.title, *f) for f in sorted(gold - mine)]
    report = "\n".join(map(str, wrong))
    assert right.total() / found.total() >= 0.95, report
    assert right.total() / wanted.total() >= 0.85, report
    for relation, (precision, recall) in _FLOORS.items():
        assert right[relation] / found[relation] >= precision, report
        assert right[relation] / wanted[relation] >= recall, report


def test_names_and_evidence_stand_in_the_text(read: list[Any]) -> None:
    for item, facts, _ in read:
        for fact in facts:
            assert item.text[fact.start : fact.end] == fact.evidence
            assert fact.evidence
            assert fact.entity_name in " ".join(item.text.split())
            assert 0 < fact.confidence <= 1


_CATALOG = Path(__file__).parents[2] / "examples" / "movies" / "catalog.csv"
_SHARED = Path(__file__).parents[3] / "shared" / "data" / "movies"


@pytest.mark.data
@pytest.mark.slow
def test_directors_and_players_of_the_demo_catalogue() -> None:
    """Precision is over films whose director is known; recall over names that the text holds."""
    if not _CATALOG.exists() or not (_SHARED / "people.csv").exists():
        pytest.skip("needs examples/movies/catalog.csv and ../shared/data/movies")
    gold = _structured()
    with _CATALOG.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("description")]
    texts = [ItemText(str(i), r["title"], r["description"]) for i, r in enumerate(rows)]
    right: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    directors = 0
    for item, facts in Extractor(load_schema().domain("movies")).read(texts):
        row = rows[int(item.item_id)]
        people = gold.get(_key(row["title"], row["year"]))
        if people is None:
            continue
        text = _plain(item.text)
        for relation, names in people.items():
            held = {name for name in names if name in text}
            mine = {_plain(f.entity_name) for f in facts if f.relation == relation}
            right[relation] += len(held & mine)
            wanted[relation] += len(held)
            directors += len(mine) if relation == "DIRECTED_BY" and held else 0
    if wanted["STARS"] < 500:
        pytest.skip("the two catalogues share too few films")
    assert right["DIRECTED_BY"] / directors >= 0.95
    assert right["DIRECTED_BY"] / wanted["DIRECTED_BY"] >= 0.85
    assert right["STARS"] / wanted["STARS"] >= 0.85


def _structured() -> dict[tuple[str, str], dict[str, set[str]]]:
    with (_SHARED / "people.csv").open(encoding="utf-8", newline="") as file:
        people = {row["movie_id"]: row for row in csv.DictReader(file)}
    found = {}
    with (_SHARED / "catalog.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if held := people.get(row["movie_id"]):
                found[_key(row["title"], row["year"])] = {
                    "DIRECTED_BY": {_plain(n) for n in held["director"].split("|") if n},
                    "STARS": {_plain(n) for n in held["actors"].split("|") if n},
                }
    return found


def _key(title: str, year: str) -> tuple[str, str]:
    return re.sub(r"\s*\(.*?\)", "", title).strip().lower(), year


def _plain(name: str) -> str:
    apart = unicodedata.normalize("NFD", name)
    return "".join(c for c in apart if not unicodedata.combining(c)).lower().replace(".", "")
