from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from kgrec.learning.link_prediction.batch_scores import powered, thinned
from kgrec.training.losses import adversarial_loss, info_nce, noisy


def unit(rows: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return nn.functional.normalize(torch.randn(rows, 6, generator=generator), dim=1)


def test_views_agree_best_with_themselves() -> None:
    vectors = unit(20)
    same = float(info_nce(vectors, vectors, 0.2))
    assert same < float(info_nce(vectors, unit(20, seed=1), 0.2))
    assert same < float(info_nce(vectors, vectors.roll(1, 0), 0.2))


def test_agreement_by_hand() -> None:
    """Two orthogonal rows: each finds itself with odds of e to 1 at temperature 1."""
    assert float(info_nce(torch.eye(2), torch.eye(2), 1.0)) == pytest.approx(np.log1p(np.exp(-1)))


def test_no_rows_disagree_in_nothing() -> None:
    """A process that got no target of a step has none."""
    none = torch.zeros(0, 3, requires_grad=True)
    loss = info_nce(none, none, 0.2)
    loss.backward()
    assert float(loss.detach()) == 0.0


def test_noise_moves_vectors_a_little_and_not_out_of_their_orthant() -> None:
    vectors = unit(50)
    moved = noisy(vectors, 0.1)
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(50))
    assert not torch.equal(moved, vectors)
    assert ((moved - vectors).norm(dim=1) <= 0.11).all()
    assert (torch.sign(moved) == torch.sign(vectors)).all()


def test_the_adversary_raises_the_loss_more_than_a_random_step_does() -> None:
    vectors = unit(10).requires_grad_()
    goal = unit(10, seed=1)

    def loss_of(given: torch.Tensor) -> torch.Tensor:
        return (given - goal).square().sum()

    loss = loss_of(vectors)
    worst = float(adversarial_loss(loss, vectors, loss_of, 0.1).detach())
    random = float(loss_of(vectors + 0.1 * unit(10, seed=2)).detach())
    assert worst > random
    assert worst > float(loss.detach())
    small = float(adversarial_loss(loss, vectors, loss_of, 1e-6).detach())
    assert small == pytest.approx(float(loss.detach()), rel=1e-4)


def test_a_shorter_history_counts_as_one() -> None:
    import scipy.sparse as sp

    histories = sp.csr_matrix(np.ones((2, 4), dtype=np.float32))
    kept = np.array([1, 0, 0, 0, 1, 1, 1, 1], dtype=bool)
    weights = powered(thinned(histories, kept), 0.5).toarray()
    np.testing.assert_allclose(weights, [[1, 0, 0, 0], [0.5] * 4])
