from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.training import softmax
from kgrec.training.losses import LossConfig, ranking_loss, softmax_loss
from kgrec.training.softmax import added_scores, sampled_softmax, softmax_over_all
from kgrec.training.sparse import Adjacency, aggregate, csr_tensor

ROWS, ITEMS, SIZE = 5, 9, 3


@pytest.fixture(autouse=True, scope="module", params=[1, 2 * ITEMS, 1000])
def _cells_of_a_block(request: pytest.FixtureRequest) -> Iterator[None]:
    """One history a block, two, and all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(softmax, "_BLOCK_CELLS", request.param)
        yield


class Case:
    """Random inputs of a step, the same for each seed."""

    def __init__(self, seed: int, *, knowledge: bool = True, dense: float = 1.0) -> None:
        self.dense = dense
        rng = np.random.default_rng(seed)
        self.cosine = sp.random_array((ROWS, ITEMS), density=0.4, rng=rng, dtype=np.float32).tocsr()
        kind = rng.integers(0, 4, (ROWS, ITEMS))  # 0 is a target, 1 is out of the question
        self.blocked = torch.from_numpy(np.flatnonzero(kind == 1))
        self.targets = torch.from_numpy(np.flatnonzero(kind == 0))
        shapes = ((ROWS, SIZE), (ITEMS, SIZE), (ITEMS,), (ITEMS,))
        self.inputs = [
            torch.from_numpy(rng.normal(size=shape).astype(np.float32)).requires_grad_()
            for shape in shapes
        ]
        self.knowledge = knowledge

    def fused(self) -> torch.Tensor:
        queries, vectors, prior, scale = self.inputs
        cells = added_scores(self.cosine, dense=self.dense) if self.knowledge else None
        return softmax_over_all(
            queries,
            vectors,
            prior,
            scale if self.knowledge else None,
            cells,
            self.blocked,
            self.targets,
        )

    def composed(self) -> torch.Tensor:
        queries, vectors, prior, scale = self.inputs
        scores = queries @ vectors.T + prior
        if self.knowledge:
            scores = scores + torch.from_numpy(self.cosine.toarray()) * scale
        scores = scores.flatten().index_fill(0, self.blocked, -torch.inf).view(ROWS, ITEMS)
        return softmax_loss(scores, self.targets // ITEMS, self.targets % ITEMS)

    def sampled(self, *, fused: bool) -> torch.Tensor:
        """Return the loss of targets beside candidates that were drawn; all items stand for them.

        A target has a score of its own, and is no candidate of its history.
        """
        queries, vectors, prior, scale = self.inputs
        row, item = self.targets // ITEMS, self.targets % ITEMS
        positive = (queries[row] * vectors[item]).sum(dim=1) + prior[item]
        log_inclusion = torch.linspace(-2.0, 0.0, ITEMS)
        blocked = torch.cat([self.blocked, self.targets]).sort().values
        known = torch.from_numpy(self.cosine.toarray())
        if fused:
            return sampled_softmax(
                queries,
                vectors,
                prior - log_inclusion,
                scale if self.knowledge else None,
                added_scores(self.cosine, dense=self.dense) if self.knowledge else None,
                blocked,
                positive,
                row,
            )
        scores = queries @ vectors.T + prior + (known * scale if self.knowledge else 0.0)
        scores = scores.flatten().index_fill(0, blocked, -torch.inf).view(ROWS, ITEMS)
        return ranking_loss(positive, row, scores, LossConfig(), log_inclusion)

    def gradients(self, loss: torch.Tensor) -> list[torch.Tensor | None]:
        inputs = self.inputs if self.knowledge else self.inputs[:3]
        return list(torch.autograd.grad(loss, inputs, retain_graph=True))


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.0, 1.0]))
@settings(max_examples=40, deadline=None)
def test_loss_and_gradient_are_those_of_its_parts(seed: int, knowledge: bool, dense: float) -> None:
    case = Case(seed, knowledge=knowledge, dense=dense)
    if not len(case.targets):
        return
    fused, composed = case.fused(), case.composed()
    torch.testing.assert_close(fused, composed, rtol=1e-4, atol=1e-5)
    first, again = case.gradients(fused), case.gradients(fused)  # asked twice, as an adversary does
    for mine, once_more, expected in zip(first, again, case.gradients(composed), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(mine, once_more)


@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.0, 1.0]))
@settings(max_examples=40, deadline=None)
def test_sampled_candidates_have_the_same_loss_and_gradient(
    seed: int, knowledge: bool, dense: float
) -> None:
    case = Case(seed, knowledge=knowledge, dense=dense)
    if not len(case.targets):
        return
    fused, composed = case.sampled(fused=True), case.sampled(fused=False)
    torch.testing.assert_close(fused, composed, rtol=1e-4, atol=1e-5)
    for mine, expected in zip(case.gradients(fused), case.gradients(composed), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-3, atol=1e-5)


def test_half_precision_is_near() -> None:
    case = Case(3)
    whole = float(case.fused().detach())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = case.fused()
    assert half.dtype == torch.float32
    assert float(half.detach()) != whole
    assert abs(float(half.detach()) - whole) < 0.05


def test_a_product_with_a_kept_transpose_has_the_same_gradient() -> None:
    rng = np.random.default_rng(0)
    matrix = sp.random_array((6, 4), density=0.5, rng=rng, dtype=np.float32).tocsr()
    features = torch.randn(4, 3, requires_grad=True)
    outer = torch.randn(6, 3)
    kept = aggregate(Adjacency.of(matrix), features)
    (mine,) = torch.autograd.grad(kept, features, outer)
    dense = torch.from_numpy(matrix.toarray())
    torch.testing.assert_close(kept, dense @ features)
    torch.testing.assert_close(mine, dense.T @ outer)
    row = np.repeat(np.arange(6), np.diff(matrix.indptr))
    plain = csr_tensor(row, matrix.indices, torch.from_numpy(matrix.data), matrix.shape)
    torch.testing.assert_close(aggregate(plain, features), kept)
