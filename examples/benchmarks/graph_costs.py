"""What it costs to remove old suggestions, and to filter: before and after, on one graph.

    python examples/benchmarks/graph_costs.py --items 20000 --each 25

It fills an embedded graph of its own with items and with the suggestions of an old and of a live
model, half each. "Before" are the statements as they were: one that looks for old suggestions among
all relations until it finds none, and one that reads a property by a name given as a value.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from kgrec.config import Settings
from kgrec.graph import open_graph
from kgrec.graph.setup import ensure_property_indexes, ensure_schema
from kgrec.graph.store import GraphStore
from kgrec.retrieval.filters import parse_filter, passing
from kgrec.stages.publish import remove_old_suggestions

LIMIT = 4_000
OLD_DELETE = (
    "MATCH (:Item)-[s:SUGGESTS]->(:Item) WHERE s.model_id IN $models "
    f"WITH s LIMIT {LIMIT} DELETE s RETURN count(*) AS deleted"
)
OLD_FILTER = (
    "MATCH (i:Item) WHERE i[$property] >= $least AND i[$property] <= $most "
    "RETURN collect(i.item_id) AS items"
)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="kgrec-costs-") as home:
        settings = Settings(home=Path(home), graph_uri=None)
        with open_graph(settings) as store:
            ensure_schema(store)
            items = _write_items(store, options.items)
            for model in ("old", "live"):
                _suggest(store, items, options.each // 2, model)
            _measure(store, items, options.each // 2)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--each", type=int, default=25, help="suggestions of an item, in all")
    return parser.parse_args()


def _measure(store: GraphStore, items: Sequence[str], each: int) -> None:
    year = parse_filter("year=1990..1991", "movies")
    before = {"property": "year", "least": 1990.0, "most": 1991.0}
    _report("filter, before", lambda: store.query(OLD_FILTER, before), times=5)
    ensure_property_indexes(store, "movies")
    found = passing(store, [year])
    _report(f"filter, after ({len(found or ())} items)", lambda: passing(store, [year]), times=5)
    seconds, deleted = _report("old suggestions, before: four batches", lambda: _before(store, 4))
    whole = seconds / 4 * (each * len(items) / LIMIT)
    print(f"  {deleted:,} removed; all of them would take about {whole:.0f} s")
    _, deleted = _report("old suggestions, after: all the others", lambda: _after(store))
    print(f"  {deleted:,} removed")
    _report("nothing to remove, before", lambda: _before(store, 1))
    _report("nothing to remove, after", lambda: _after(store))


def _before(store: GraphStore, batches: int) -> int:
    return sum(
        store.query(OLD_DELETE, {"models": ["old"]}, timeout=300, writing=True).rows[0]["deleted"]
        for _ in range(batches)
    )


def _after(store: GraphStore) -> int:
    return remove_old_suggestions(store)


def _report(what: str, work: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        result = work()
        spent.append(time.perf_counter() - begun)
    print(f"{what}: {min(spent) * 1000:,.0f} ms", flush=True)
    return min(spent), result


def _write_items(store: GraphStore, number: int) -> list[str]:
    items = [f"i{n:07d}" for n in range(number)]
    for batch in _batches(range(number), 5_000):
        rows = [{"id": items[n], "year": 1900 + n % 120} for n in batch]
        text = "UNWIND $rows AS r CREATE (i:Item:Movie {item_id: r.id, title: r.id, year: r.year})"
        store.query(text, {"rows": rows}, timeout=300, writing=True)
    return items


def _suggest(store: GraphStore, items: Sequence[str], each: int, model_id: str) -> None:
    rng = np.random.default_rng(1)
    for batch in _batches(items, max(LIMIT // each, 1)):
        rows = [
            {"history": item, "item": items[int(other)], "agent": "linear", "weight": 1.0}
            for item in batch
            for other in rng.choice(len(items), each, replace=False)
        ]
        store.write("publish/create_suggestions", rows=rows, model_id=model_id)
    noted = {"model_id": model_id, "metrics": "{}", "created_at": datetime.now(UTC)}
    slot = "vector_a" if model_id == "live" else "vector_b"
    store.write("publish/upsert_model", **noted, slot=slot)
    if model_id == "old":
        store.write("publish/claim_slot", model_id="live", slot=slot)


def _batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(values), size):
        yield values[first : first + size]


if __name__ == "__main__":
    main()
