"""A trained team that knows folded items: rows behind those of the training, or in their place.

The spread of an agent's scores is that over the trained items alone, so that an item that is
folded in changes the score of no other item, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray, IntArray
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.model.folding.inductive import FoldedRows
from kgrec.model.folding.overlay import FoldedItems
from kgrec.model.kernel import Kernel
from kgrec.model.packed import PackedRows
from kgrec.model.profile import ContextPriors, Profile
from kgrec.model.ranker import Ranker
from kgrec.model.team import Team, item_blocks


def folded_team(team: Team, folded: FoldedItems) -> Team:
    """Return a team that knows the folded items behind the trained ones, and changed ones anew.

    Raises:
        ModelError: the folded items are not those of this team.
    """
    if not len(folded):
        return team
    new = folded.only([each for each in folded.ids if each not in team.items])
    changed = folded.only([each for each in folded.ids if each in team.items])
    places = team.items.rows(changed.ids)
    try:
        kernels = tuple(
            _extended(kernel, new.rows[kernel.agent], places, changed.rows[kernel.agent])
            for kernel in team.kernels
        )
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"the folded items do not belong to this model ({error})",
            remedy="Run kgrec fold, which computes them again.",
        ) from None
    count = len(new)
    return replace(
        team,
        items=Vocabulary((*team.items.ids, *new.ids)),
        kernels=kernels,
        ranker=None if team.ranker is None else _ranker(team.ranker, count, folded.mean_value),
        profile=None if team.profile is None else _profile(team.profile, count),
        contexts=None if team.contexts is None else _contexts(team.contexts, count),
    )


def _extended(trained: Kernel, rows: FoldedRows, places: IntArray, changed: FoldedRows) -> Kernel:
    """Return a kernel over the trained items, some of them changed, and the new ones behind them.

    What the spread is computed from are the items as they were trained, and what they give.
    """
    kernel = _revised(trained, places, changed)
    attention = kernel.attention
    if rows.content is not None and attention is not None:
        attention = attention.with_items(rows.content)
    size = kernel.num_items
    wide = replace(
        kernel,
        history_factors=_below(kernel.history_factors, rows.history_factors),
        item_factors=_below(kernel.item_factors, rows.item_factors),
        rows=_bordered(kernel.rows, rows),
        prior=_below(kernel.prior, rows.prior),
        attention=attention,
        counted=trained.num_counted,
    )
    # What is counted has not changed; only the products of what gives otherwise are computed.
    own = trained.counted_rows
    if own is not None and changed.given is not None:
        own = _with_rows(own, places, changed.given)
    centred = trained.centred.astype(np.float64)
    products, sums = trained.rows_with_centred, trained.row_sums
    if own is not None and len(places):
        products, sums = products.copy(), sums.copy()
        products[places] = own[places] @ centred
        sums[places] = np.asarray(own[places].sum(axis=1, dtype=np.float64)).ravel()
    given = sp.csr_matrix((wide.num_items - size, size)) if rows.given is None else rows.given
    given = sp.csr_matrix(given[:, : trained.num_counted])
    more = np.asarray(given.sum(axis=1, dtype=np.float64)).ravel()
    known: dict[str, Any] = {
        "second_moment": trained.second_moment,
        "rows_with_centred": np.vstack([products, np.asarray(given @ centred)]),
        "row_sums": np.concatenate([sums, more]),
    }
    if own is not None and len(places):
        whole = sp.csr_matrix(sp.vstack([own, given]), dtype=np.float32)
        wide = replace(wide, counted_as=whole)
    wide.__dict__.update(known)
    return wide


def _revised(kernel: Kernel, places: IntArray, changed: FoldedRows) -> Kernel:
    """Return a kernel with other parts of some of its items."""
    if not len(places):
        return kernel
    rows = kernel.rows
    if rows is not None and changed.given is not None and changed.received is not None:
        rows = _with_rows(rows, places, changed.given)
        # What one changed item adds to another stands in its row.
        among = sp.csr_matrix(rows[places][:, places])
        received = _with_rows(changed.received, places, among)
        by_item = _with_rows(sp.csr_matrix(rows.T), places, sp.csr_matrix(received.T))
        rows = sp.csr_matrix(by_item.T, dtype=np.float32)

    def of(part: FloatArray | PackedRows | None, own: FloatArray | None) -> FloatArray | None:
        if part is None or own is None:
            return None
        whole = np.array(part, dtype=np.float32)
        whole[places] = own
        return whole

    return replace(
        kernel,
        history_factors=of(kernel.history_factors, changed.history_factors),
        item_factors=of(kernel.item_factors, changed.item_factors),
        rows=rows,
        prior=of(kernel.prior, changed.prior),
    )


def _with_rows(matrix: sp.csr_matrix, places: IntArray, given: sp.csr_matrix) -> sp.csr_matrix:
    """Return a matrix with other rows at some places."""
    kept = np.ones(matrix.shape[0])
    kept[places] = 0.0
    chosen = sp.csr_matrix(
        (np.ones(len(places)), (places, np.arange(len(places)))), (matrix.shape[0], len(places))
    )
    whole = sp.diags_array(kept) @ matrix + chosen @ given[:, : matrix.shape[1]]
    return sp.csr_matrix(whole, dtype=np.float32)


def _below(trained: FloatArray | PackedRows | None, new: FloatArray | None) -> FloatArray | None:
    if trained is None:
        return None
    if new is None:
        raise ValueError("a part is missing")
    return np.concatenate([np.asarray(trained), new]).astype(np.float32, copy=False)


def _bordered(trained: sp.csr_matrix | None, rows: FoldedRows) -> sp.csr_matrix | None:
    if trained is None:
        return None
    if rows.received is None or rows.given is None:
        raise ValueError("sparse rows are missing")
    count = rows.given.shape[0]
    corner = sp.csr_matrix((count, count)).astype(np.float32)
    above, below = sp.hstack([trained, rows.received]), sp.hstack([rows.given, corner])
    return sp.csr_matrix(sp.vstack([above, below]), dtype=np.float32)


def _ranker(ranker: Ranker, count: int, mean_value: float) -> Ranker:
    """Return a ranker to which the new items are of unknown popularity, which is its mean, 0."""
    zeros = np.zeros(count, dtype=np.float32)
    ratings = ranker.ratings
    if ratings is not None:
        means = np.full(count, mean_value, dtype=np.float32)
        ratings = replace(ratings, item_mean=np.concatenate([ratings.item_mean, means]))
    return replace(
        ranker,
        popularity=np.concatenate([ranker.popularity, zeros]),
        prior=np.concatenate([ranker.prior, zeros]),
        ratings=ratings,
    )


def _contexts(contexts: ContextPriors, count: int) -> ContextPriors:
    """Return priors that are 0 for the new items, in whatever context."""
    none = np.zeros((len(contexts.rows), count), dtype=np.float32)
    return replace(contexts, rows=np.hstack([contexts.rows, none]))


def _profile(profile: Profile, count: int) -> Profile:
    """Return a profile in which nothing is known of the new items, which are the least popular."""
    none = sp.csr_matrix((profile.rows.shape[0], count)).astype(np.float32)
    rows = sp.csr_matrix(sp.hstack([profile.rows, none]), dtype=np.float32)
    zeros = np.zeros(count, dtype=np.float32)
    return replace(profile, rows=rows, prior=np.concatenate([profile.prior, zeros]))


def longest_vector(team: Team) -> float:
    """Return M², the square of the length that `Team.item_vectors` gives all rows."""
    square = np.zeros(len(team.items))
    for block in (block for kernel in team.active for block in item_blocks(kernel)):
        square += np.square(np.asarray(block, dtype=np.float64)).sum(axis=1)
    return float(square.max(initial=0.0)) or 1.0


def folded_vectors(team: Team, folded: FoldedItems, square: float) -> FloatArray:
    """Return the vectors of folded items for the index that has those of the trained ones.

    As `Team.item_vectors`, with the length M of the trained items (`square` is M²): a longer vector
    has no lift, so its cosine is a little too small. Returns float32 [M, D + 1].
    """
    blocks = [np.zeros((len(folded), 0))]
    for kernel in team.active:
        rows = folded.rows[kernel.agent]
        if rows.item_factors is not None:
            blocks.append(rows.item_factors.astype(np.float64))
        if kernel.prior is not None and rows.prior is not None:
            blocks.append(rows.prior[:, None].astype(np.float64))
    vectors = np.hstack(blocks)
    lift = np.sqrt(np.maximum(square - (vectors**2).sum(axis=1), 0.0))
    return np.asarray(np.hstack([vectors, lift[:, None]]), dtype=np.float32)


def folded_suggestions(team: Team, folded: FoldedItems, per_item: int) -> Iterator[dict[str, Any]]:
    """Yield the strongest sparse weights from folded items and to them, as edges of the graph.

    At most `per_item` of each agent from an item, and to it; `team` is the trained one.
    """
    for kernel in team.active:
        rows = folded.rows[kernel.agent]
        if rows.given is None or rows.received is None:
            continue
        for matrix, of_history in ((rows.given, True), (sp.csr_matrix(rows.received.T), False)):
            for number, own in enumerate(folded.ids):
                run = slice(matrix.indptr[number], matrix.indptr[number + 1])
                weights, others = matrix.data[run], matrix.indices[run]
                for place in np.argsort(-weights, kind="stable")[:per_item].tolist():
                    if weights[place] <= 0:
                        break
                    other = team.items.id(int(others[place]))
                    ends = (own, other) if of_history else (other, own)
                    edge = {"history": ends[0], "item": ends[1], "agent": kernel.agent}
                    yield edge | {"weight": float(weights[place]), "folded": own}
