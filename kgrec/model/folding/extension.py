"""A trained team that knows folded items: their rows stand behind those of the training.

The spread of an agent's scores is that over the trained items alone, so that an item that is
folded in changes the score of no other item, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import FloatArray
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ModelError
from kgrec.model.folding.inductive import (
    FoldedRows,
)
from kgrec.model.folding.overlay import FoldedItems
from kgrec.model.kernel import Kernel
from kgrec.model.packed import PackedRows
from kgrec.model.profile import ContextPriors, Profile
from kgrec.model.ranker import Ranker
from kgrec.model.sequence_reader import SequenceReader
from kgrec.model.team import Team, item_blocks


def folded_team(team: Team, folded: FoldedItems) -> Team:
    """Return a team that knows the folded items behind the trained ones.

    Raises:
        ModelError: the folded items are not those of this team.
    """
    if not len(folded):
        return team
    try:
        kernels = tuple(_extended(kernel, folded.rows[kernel.agent]) for kernel in team.kernels)
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"the folded items do not belong to this model ({error})",
            remedy="Run kgrec fold, which computes them again.",
        ) from None
    count = len(folded)
    return replace(
        team,
        items=Vocabulary((*team.items.ids, *folded.ids)),
        kernels=kernels,
        ranker=None if team.ranker is None else _ranker(team.ranker, count, folded.mean_value),
        profile=None if team.profile is None else _profile(team.profile, count),
        contexts=None if team.contexts is None else _contexts(team.contexts, count),
    )


def _extended(kernel: Kernel, rows: FoldedRows) -> Kernel:
    """Return a kernel over the trained items and the folded ones behind them."""
    attention = kernel.attention
    if rows.content is not None and isinstance(attention, SequenceReader):
        attention = attention.with_items(rows.content)
    size = kernel.num_items
    wide = replace(
        kernel,
        history_factors=_below(kernel.history_factors, rows.history_factors),
        item_factors=_below(kernel.item_factors, rows.item_factors),
        rows=_bordered(kernel.rows, rows),
        prior=_below(kernel.prior, rows.prior),
        attention=attention,
        counted=kernel.num_counted,
    )
    if wide.num_items == size:
        raise ValueError(f"agent {kernel.agent} has no rows of them")
    # What is counted has not changed; only the new history items' own products are computed.
    known: dict[str, Any] = {"centred": kernel.centred, "second_moment": kernel.second_moment}
    given = sp.csr_matrix((wide.num_items - size, size)) if rows.given is None else rows.given
    counted = given[:, : kernel.num_counted]
    products = counted @ kernel.centred.astype(np.float64)
    sums = np.asarray(counted.sum(axis=1, dtype=np.float64)).ravel()
    known["rows_with_centred"] = np.vstack([kernel.rows_with_centred, products])
    known["row_sums"] = np.concatenate([kernel.row_sums, sums])
    wide.__dict__.update(known)
    return wide


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
