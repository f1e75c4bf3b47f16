"""A small catalogue in which the answer is known: tastes are planted, and the facts with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import Dataset
from kgrec.data.records import entity_id
from kgrec.data.selection import Selection
from kgrec.graph.setup import clear_graph, ensure_schema
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.model.coordinator import Coordinator
from kgrec.model.kernel import Kernel
from kgrec.model.storage import save_team
from kgrec.model.team import Team
from kgrec.retrieval.history import History, as_history
from kgrec.retrieval.live import LiveModels
from kgrec.retrieval.state import read_state
from kgrec.stages.publish import publish

TASTES = 4
GENRES = ("Drama", "Comedy", "Western", "Musical")
START = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Planted:
    """The graph, its dataset, a team that is live, and where it lies."""

    store: GraphStore
    dataset: Dataset
    team: Team
    models: Path
    model_id: str


def item_id(number: int) -> str:
    return f"p{number:04d}"


def user_id(number: int) -> str:
    return f"u{number:04d}"


def plant(store: GraphStore, *, users: int = 60, items: int = 160, each: int = 12) -> None:
    """Write a graph: item n and user n have taste n % 4; users take mostly items of their taste.

    Each taste has a genre and three directors; the text says who directed. One user, `loner`, did
    nothing, one, `grump`, disliked everything they met.
    """
    clear_graph(store)
    ensure_schema(store)
    write_items(store, {item_id(n): _item(n) for n in range(items)})
    _facts(store, "HAS_GENRE", "Genre", [(n, GENRES[n % TASTES]) for n in range(items)])
    directors = [(n, f"Director {n % TASTES}{n // TASTES % 3}") for n in range(items)]
    _facts(store, "DIRECTED_BY", "Person", directors, evidence="directed by")
    people = [user_id(n) for n in range(users)] + ["loner", "grump"]
    rows = [{"id": user, "age": 20 + n} for n, user in enumerate(people)]
    _write(store, "UNWIND $rows AS row CREATE (:User {user_id: row.id, age: row.age})", rows)
    write_interactions(store, _interactions(users, items, each))


def train(store: GraphStore, *, factors: bool = True, seed: int = 3) -> tuple[Dataset, Team]:
    """Make a team in closed form, quick and exact: cosine rows, and factors of the same matrix."""
    dataset = read_dataset(store, Selection(domain="movies"))
    matrix = dataset.matrix().astype(np.float64)
    counts = np.maximum(np.asarray(matrix.sum(axis=0)).ravel(), 1.0)
    together = (matrix.T @ matrix).toarray() / np.sqrt(np.outer(counts, counts))
    np.fill_diagonal(together, 0.0)
    rows = sp.csr_matrix(together.astype(np.float32))
    reads = {"rows": ("interactions", "facts")}  # as a linear agent with knowledge would
    kernels = [Kernel("linear", rows=rows, history_power=0.5, reads=reads)]
    weights = [1.0]
    if factors:
        rng = np.random.default_rng(seed)
        left, values, right = np.linalg.svd(together)
        root = np.sqrt(values[:16])
        noise = rng.normal(scale=0.02, size=(dataset.num_items, 16))
        prior = np.log1p(counts) * 0.05
        kernels.append(
            Kernel(
                "collaborative",
                history_factors=(left[:, :16] * root + noise).astype(np.float32),
                item_factors=(right[:16].T * root).astype(np.float32),
                prior=prior.astype(np.float32),
                history_power=0.7,
                reads={"factors": ("interactions",)},
            )
        )
        weights = [0.4, 0.6]
    config = {"selection": Selection(domain="movies").model_dump(mode="json")}
    return dataset, Team(dataset.items, tuple(kernels), Coordinator(weights), config)


def planted(
    store: GraphStore,
    models: Path,
    model_id: str = "first",
    *,
    users: int = 60,
    items: int = 160,
    each: int = 12,
) -> Planted:
    """Plant the graph, train a team and put it into service."""
    plant(store, users=users, items=items, each=each)
    dataset, team = train(store)
    save_team(team, models / model_id)
    publish(store, team, model_id)
    return Planted(store, dataset, team, models, model_id)


def history_of(live: Planted, user: str) -> History:
    """Read the history of a user who is there."""
    done = read_state(live.store, LiveModels(live.store, live.models), None, user).interactions
    assert done is not None
    return as_history(done, live.team.items, Selection())


def exact_top(live: Planted, user: str, k: int = 10) -> list[str]:
    """Rank all items for a user by the team's own batch scores."""
    history = history_of(live, user)
    row = (np.ones(len(history), dtype=np.float32), history.rows, [0, len(history)])
    scores = live.team.scores(sp.csr_matrix(row, shape=(1, len(live.team.items))))[0]
    seen = live.team.items.rows(history.seen_ids)
    scores[seen[seen >= 0]] = -np.inf
    return live.team.items.take(np.argsort(-scores, kind="stable")[:k])


def _item(number: int) -> dict[str, object]:
    return {
        "title": f"Film {number:03d}",
        "description": f"Directed by Director {number % TASTES}{number // TASTES % 3}.",
        "year": 1960 + number % 40,
    }


def write_items(store: GraphStore, items: dict[str, dict[str, object]]) -> None:
    """Create films."""
    rows = [{"id": item, "known": known} for item, known in items.items()]
    cypher = "UNWIND $rows AS row CREATE (i:Item:Movie {item_id: row.id}) SET i += row.known"
    _write(store, cypher, rows)


def write_facts(store: GraphStore, relation: str, rows: list[dict[str, object]]) -> None:
    """Create facts between items and entities that are there."""
    cypher = (
        "UNWIND $rows AS row MATCH (i:Item {item_id: row.item}) "
        f"MATCH (e:Entity {{entity_id: row.entity}}) CREATE (i)-[f:{relation}]->(e) "
        "SET f += row.known"
    )
    _write(store, cypher, rows)


def write_interactions(store: GraphStore, rows: list[dict[str, object]]) -> None:
    """Create interactions: user, item, kind, value, at (or None)."""
    cypher = (
        "UNWIND $rows AS row MATCH (u:User {user_id: row.user}) MATCH (i:Item {item_id: row.item}) "
        "CREATE (u)-[:INTERACTED {key: row.key, kind: row.kind, value: row.value, at: row.at}]->(i)"
    )
    rows = [{**row, "key": f"{row['kind']}@{row['at']}"} for row in rows]
    _write(store, cypher, rows)


def _write(store: GraphStore, cypher: str, rows: list[dict[str, object]]) -> None:
    store.query(cypher, {"rows": rows}, writing=True)


def _facts(
    store: GraphStore, relation: str, kind: str, pairs: list[tuple[int, str]], evidence: str = ""
) -> None:
    names = sorted({name for _, name in pairs})
    entities: list[dict[str, object]] = [{"id": entity_id(kind, n), "name": n} for n in names]
    created = f"CREATE (:Entity:{kind} {{entity_id: row.id, name: row.name}})"
    _write(store, f"UNWIND $rows AS row {created}", entities)
    known = {"confidence": 1.0, "source": "column:genres", "extractor": "table", "evidence": ""}
    if evidence:
        known = {"confidence": 0.9, "source": "text", "extractor": "rules"}
    rows: list[dict[str, object]] = [
        {
            "item": item_id(number),
            "entity": entity_id(kind, name),
            "known": {**known, "evidence": f"{evidence} {name}"} if evidence else known,
        }
        for number, name in pairs
    ]
    write_facts(store, relation, rows)


def _interactions(users: int, items: int, each: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(7)
    rows = [
        _rating(user_id(user), number, 5.0 if number % TASTES == user % TASTES else 3.0, step)
        for user in range(users)
        for step, number in enumerate(_taken(rng, user, items, each))
    ]
    return rows + [_rating("grump", number, 1.0, number) for number in range(6)]


def _taken(rng: np.random.Generator, user: int, items: int, each: int) -> list[int]:
    odds = np.where(np.arange(items) % TASTES == user % TASTES, 12.0, 1.0)
    odds = odds / np.sqrt(1 + np.arange(items) // TASTES)
    return [int(n) for n in rng.choice(items, each, replace=False, p=odds / odds.sum())]


def _rating(user: str, item: int, value: float, step: int) -> dict[str, object]:
    at = START + timedelta(days=step)
    return {"user": user, "item": item_id(item), "kind": "rating", "value": value, "at": at}
