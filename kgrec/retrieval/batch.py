"""Recommendations for everybody: the query of each user, made from pages of the graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from kgrec.config import FrozenModel
from kgrec.data.dataset import IntArray
from kgrec.graph.pages import Page, interaction_pages, user_pages
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.retrieval.declared import read_declared
from kgrec.retrieval.history import History, as_history, current_time, interactions_of
from kgrec.retrieval.knobs import Filters, KnobOptions, Knobs
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.maker import QueryMaker
from kgrec.retrieval.query import Query
from kgrec.retrieval.reranking import picks
from kgrec.retrieval.traits import Traits

EDGES_A_BATCH = 4_000
DECLARED_A_PAGE = 1_000
POOL = 10
"""Of so many for each that is shown the diversity rule chooses, as in a single list."""

_REST_S = 1.0
"""Seconds in which it is not read again which items are available."""


class BatchReport(FrozenModel):
    """What a batch did.

    Attributes:
        users: users that got recommendations.
        skipped: users without a history or a declared value that the model knows; they keep
            no stored recommendation.
        written: relations written.
    """

    model_id: str
    users: int
    skipped: int
    written: int


@dataclass(frozen=True, eq=False)
class TopItems:
    """What one user is recommended.

    Attributes:
        rows: int64 [k], as they are shown; fewer where fewer are left.
        scores: float64 [k].
        request_id: from which an explanation makes the query again.
    """

    user_id: str
    rows: IntArray
    scores: NDArray[np.float64]
    request_id: str


def recommend_all(
    store: GraphStore,
    live: LiveModel,
    k: int = 20,
    *,
    filters: Filters = (),
    diversity: float = 0.0,
    progress: Progress = SILENT,
    **more: Unpack[KnobOptions],
) -> Iterator[TopItems]:
    """Yield what every user is recommended, as a list for each of them alone would show it.

    The whole catalogue is scored in memory. Users without a history that the model knows come
    last, by what they declare; nothing is yielded for those who declare nothing that it knows.

    Args:
        more: other knobs, as `Knobs` describes them.

    Raises:
        ConfigError: `k`, a filter or another knob makes no sense.
    """
    knobs, query_time = Knobs.of(k, filters, diversity, more), current_time()
    queries = QueryMaker(store, "memory", rest_s=_REST_S)
    passed, traits = queries.passed(live, knobs), Traits(store, live)
    users = [user for page in user_pages(store) for user in page["ids"]]
    none = as_history((), live.team.items, live.selection, query_time=query_time)
    without: dict[str, History] = dict.fromkeys(users, none)
    for page in interaction_pages(store, users, progress):
        for row, columns in _by_user(page):
            done = interactions_of(columns)
            history = as_history(done, live.team.items, live.selection, query_time=query_time)
            if not len(history):
                without[users[row]] = history
                continue
            del without[users[row]]
            user = users[row]
            yield _top(
                queries.make(live, history, knobs, "user", user, passed=passed, traits=traits)
            )
    for first in range(0, len(without), DECLARED_A_PAGE):
        some = list(islice(without.items(), first, first + DECLARED_A_PAGE))
        declared = read_declared(store, live.team.profile, [user for user, _ in some])
        for user, history in some:
            if user in declared:
                yield _top(
                    queries.make(
                        live,
                        history,
                        knobs,
                        "user",
                        user,
                        passed=passed,
                        traits=traits,
                        declared=declared[user],
                    )
                )


def _top(query: Query) -> TopItems:
    positions = np.array([pick.position for pick in picks(query, POOL)], dtype=np.int64)
    rows, scores = query.scored.rows[positions], query.scored.scores[positions]
    return TopItems(query.user_id or "", rows, scores, query.request_id)


def write_recommended(
    store: GraphStore,
    live: LiveModel,
    k: int = 20,
    *,
    filters: Filters = (),
    diversity: float = 0.0,
    progress: Progress = SILENT,
    **more: Unpack[KnobOptions],
) -> BatchReport:
    """Store what every user is recommended, each user's old ones replaced in one transaction.

    Users who have lost their history, and declare nothing, lose their stored recommendations too.

    Raises what `recommend_all` raises.
    """
    at = datetime.now(UTC)
    left = {user for page in user_pages(store) for user in page["ids"]}
    users = written = 0
    batch: list[TopItems] = []
    every = recommend_all(
        store, live, k, filters=filters, diversity=diversity, progress=progress, **more
    )
    for top in every:
        left.discard(top.user_id)
        users += 1
        batch.append(top)
        if len(batch) * k >= EDGES_A_BATCH:
            written += _write(store, live, batch, at)
            batch = []
    written += _write(store, live, batch, at)
    skipped = sorted(left)
    for first in range(0, len(skipped), EDGES_A_BATCH):
        store.write("recommend/delete_recommended", users=skipped[first : first + EDGES_A_BATCH])
    return BatchReport(model_id=live.model_id, users=users, skipped=len(skipped), written=written)


def _by_user(page: Page) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the columns of a page user by user, in the order of their rows."""
    owner = np.asarray(page["users"], dtype=np.int64)
    order = np.argsort(owner, kind="stable")
    cuts = np.flatnonzero(np.diff(owner[order])) + 1
    names = ("items", "kinds", "values", "times")
    for mine in np.split(order, cuts) if len(order) else ():
        yield int(owner[mine[0]]), {name: [page[name][n] for n in mine] for name in names}


def _write(store: GraphStore, live: LiveModel, batch: list[TopItems], at: datetime) -> int:
    if not batch:
        return 0
    rows = [
        {
            "user_id": top.user_id,
            "item_id": item,
            "rank": rank,
            "score": score,
            "request_id": top.request_id,
        }
        for top in batch
        for rank, (item, score) in enumerate(
            zip(live.team.items.take(top.rows), top.scores.tolist(), strict=True), start=1
        )
    ]
    users = [top.user_id for top in batch]
    shared = {"model_id": live.model_id, "at": at}
    answers = store.write_all(
        [
            ("recommend/delete_recommended", {}, {"users": users}),
            ("recommend/write_recommended", {}, {"rows": rows, **shared}),
        ]
    )
    return int(answers[-1][0]["written"])
