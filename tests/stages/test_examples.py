"""The catalogues that come as examples: from their pipeline to recommendations with reasons."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import pytest

from kgrec.graph.store import GraphStore
from kgrec.retrieval.recommender import Recommender
from kgrec.stages.pipeline import load_pipeline
from kgrec.stages.run import run_pipeline

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FAST = ['train.agents=["linear"]']


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "catalog", "done", "item", "group", "text_relations"),
    [
        ("books", "books.csv", "ratings.csv", "book_id", "genres", {"SET_IN", "PUBLISHED_BY"}),
        ("shop", "products.csv", "events.csv", "product_id", "category", {"MADE_FOR", "MADE_OF"}),
    ],
)
def test_an_example_becomes_recommendations_with_reasons(
    empty_store: GraphStore,
    home: Path,
    name: str,
    catalog: str,
    done: str,
    item: str,
    group: str,
    text_relations: set[str],
) -> None:
    items, events = rows(EXAMPLES / name / catalog), rows(EXAMPLES / name / done)
    assert len(items) == len({one["title"] for one in items}) == 100
    pipeline = load_pipeline(EXAMPLES / name / "pipeline.toml", FAST)
    results = run_pipeline(
        empty_store, pipeline, ("ingest", "extract", "train", "publish"), home=home
    )
    assert all(result.detail.get("rejected", 0) == 0 for result in results)
    extracted = next(one.detail for one in results if one.stage == "extract")
    assert extracted["texts"] == 100
    assert all(extracted["facts"].get(relation, 0) >= 40 for relation in text_relations), extracted
    groups = {one[item]: set(one[group].split("|")) for one in items}
    history: dict[str, set[str]] = {}
    for row in events:
        history.setdefault(row["user_id"], set()).add(row[item])
    assert len(history) == 150
    recommender = Recommender(empty_store, home / "models")
    alike = by_chance = 0.0
    for user in sorted(history)[:30]:
        known = {name for one in history[user] for name in groups[one]}
        answer = recommender.recommend(user, 5)
        assert len(answer.items) == 5
        assert not answer.fallback
        assert all(one.reasons for one in answer.items)
        alike += sum(bool(groups[one.item_id] & known) for one in answer.items) / 5
        unseen = [one for one in groups if one not in history[user]]
        by_chance += sum(bool(groups[one] & known) for one in unseen) / len(unseen)
    words = [
        reason.words
        for user in sorted(history)[:30]
        for one in recommender.recommend(user, 5).items
        for reason in one.reasons
    ]
    assert any(": both" in one or "too" in one or "are" in one for one in words), words[:5]
    assert alike > 1.1 * by_chance


@pytest.mark.parametrize(("name", "makes"), [("books", "books"), ("shop", "products")])
def test_the_files_are_what_their_script_makes(name: str, makes: str) -> None:
    made = runpy.run_path(str(EXAMPLES / name / "make.py"))
    shelf = made[makes]()
    columns = [one for one in shelf[0] if one != "pursuit"]
    there = rows(EXAMPLES / name / f"{makes}.csv")
    assert there == [{column: one[column] for column in columns} for one in shelf]
    done = made["ratings" if name == "books" else "events"](shelf)
    file = "ratings.csv" if name == "books" else "events.csv"
    assert rows(EXAMPLES / name / file) == [{k: str(v) for k, v in row.items()} for row in done]
