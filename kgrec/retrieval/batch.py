"""Recommendations for everybody: scored in memory in blocks, written to the graph in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgrec.config import FrozenModel
from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.data.selection import kind_codes, standing
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ConfigError
from kgrec.graph.pages import Page, interaction_pages, item_pages, user_pages
from kgrec.graph.store import GraphStore
from kgrec.model.histories import Histories
from kgrec.progress import SILENT, Progress
from kgrec.retrieval.history import asked_now
from kgrec.retrieval.live import LiveModel

CELLS_A_BLOCK = 8_000_000
EDGES_A_BATCH = 4_000


class BatchReport(FrozenModel):
    """What a batch did.

    Attributes:
        users: users that got recommendations.
        skipped: users without a history that the model knows; they keep none.
        written: relations written.
    """

    model_id: str
    users: int
    skipped: int
    written: int


@dataclass(frozen=True, eq=False)
class TopItems:
    """The best unseen items of one user.

    Attributes:
        rows: int64 [k], the best first; fewer where fewer are left.
        scores: float32 [k].
    """

    user_id: str
    rows: IntArray
    scores: FloatArray


def recommend_all(
    store: GraphStore, live: LiveModel, k: int = 20, *, progress: Progress = SILENT
) -> Iterator[TopItems]:
    """Yield the best `k` unseen items of every user, out of all items that the graph still has.

    Nothing is yielded for users without a history that the model knows.

    Raises:
        ConfigError: `k` is below 1.
    """
    if k < 1:
        raise ConfigError("k must be 1 or more", value=k)
    users = [user for page in user_pages(store) for user in page["ids"]]
    present = {item for page in item_pages(store) for item in page["ids"]}
    absent = np.array([item not in present for item in live.team.items.ids])
    for page in interaction_pages(store, users, progress):
        yield from _best(live, users, page, absent, k)


def write_recommended(
    store: GraphStore, live: LiveModel, k: int = 20, *, progress: Progress = SILENT
) -> BatchReport:
    """Store the best `k` of every user, each user's old ones replaced in one transaction.

    Users who have lost their history lose their stored recommendations too.
    """
    at = datetime.now(UTC)
    left = {user for page in user_pages(store) for user in page["ids"]}
    users = written = 0
    batch: list[TopItems] = []
    for top in recommend_all(store, live, k, progress=progress):
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


def _best(
    live: LiveModel, users: list[str], page: Page, absent: np.ndarray[Any, Any], k: int
) -> Iterator[TopItems]:
    histories, seen, rows = _matrices(live, page)
    size = max(CELLS_A_BLOCK // len(live.team.items), 1)
    for first in range(0, len(rows), size):
        block = slice(first, first + size)
        scores = live.team.scores(histories[block])  # [B, I]
        owner, item = seen[block].nonzero()
        scores[owner, item] = -np.inf
        scores[:, absent] = -np.inf
        for row, each in zip(rows[block].tolist(), scores, strict=True):
            top = _top(each, k)
            yield TopItems(users[row], top, each[top])


def _matrices(live: LiveModel, page: Page) -> tuple[Histories, sp.csr_matrix, IntArray]:
    """Return B histories, what was seen, CSR [B, I], and the rows of the users who have one."""
    items: Vocabulary = live.team.items
    item = items.rows(page["items"])
    taken = Interactions(
        np.asarray(page["users"], dtype=np.int64),
        item,
        np.asarray(page["values"], dtype=np.float32),
        np.asarray(page["times"], dtype=np.int64),
        kind_codes(page["kinds"]),
    ).take(item >= 0)
    positive = live.selection.positive(page["kinds"], page["values"])[item >= 0]
    speaks = standing(taken.user * len(items) + taken.item, taken.at, positive)
    rows = np.unique(taken.user[speaks])
    shape = (len(rows), len(items))
    met = taken.take(np.isin(taken.user, rows))
    active = taken.take(speaks)
    met, active = (replace(part, user=np.searchsorted(rows, part.user)) for part in (met, active))
    latest = np.full(len(rows), asked_now(), dtype=np.int64)
    np.maximum.at(latest, active.user, active.at)
    return Histories.of(active, *shape, now=latest), met.matrix(*shape), rows


def _top(scores: FloatArray, k: int) -> IntArray:
    """Return the rows of the best finite scores, the best first; ties go to the lower row."""
    number = min(k, int(np.isfinite(scores).sum()))
    if not number:
        return np.empty(0, dtype=np.int64)
    least = np.partition(scores, len(scores) - number)[len(scores) - number]
    rows = np.flatnonzero(scores >= least)
    return np.asarray(rows[np.argsort(-scores[rows], kind="stable")][:number])


def _write(store: GraphStore, live: LiveModel, batch: list[TopItems], at: datetime) -> int:
    if not batch:
        return 0
    rows = [
        {"user_id": top.user_id, "item_id": item, "rank": rank, "score": score}
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
