from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.training.losses import (
    LossConfig,
    bpr_loss,
    inclusion,
    poisson_sample,
    ranking_loss,
    softmax_loss,
)


def scored(rows: int, columns: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores, and two distinct targets of every row."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, columns, generator=generator)
    row = torch.arange(rows).repeat_interleave(2)
    column = torch.stack([torch.randperm(columns, generator=generator)[:2] for _ in range(rows)])
    return scores, row, column.flatten()


def apart(
    scores: torch.Tensor, row: torch.Tensor, column: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets on their own, and the scores without them."""
    return scores[row, column], scores.index_put((row, column), torch.tensor(-torch.inf))


@given(st.integers(1, 5), st.integers(3, 12), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_targets_apart_from_all_candidates_give_the_softmax(
    rows: int, columns: int, seed: int
) -> None:
    scores, row, column = scored(rows, columns, seed)
    positive, negatives = apart(scores, row, column)
    whole = softmax_loss(scores, row, column)
    certain = torch.zeros(columns)
    for log_inclusion in (None, certain):
        loss = ranking_loss(positive, row, negatives, LossConfig(), log_inclusion)
        torch.testing.assert_close(loss, whole)


@pytest.mark.parametrize("sampler", ["uniform", "popularity"])
def test_the_corrected_sum_over_drawn_candidates_is_right_on_average(sampler: str) -> None:
    """The sum in the softmax, estimated from 8 of 40 items with log-Q, and without it."""
    rng = np.random.default_rng(0)
    degree = rng.integers(0, 50, 40)
    exact = np.exp(rng.normal(size=40) + 0.05 * degree)
    chance = inclusion(degree, 8, sampler)  # type: ignore[arg-type]
    draws = [poisson_sample(chance, rng) for _ in range(4000)]
    corrected = np.mean([np.exp(np.log(exact[d]) - np.log(chance[d])).sum() for d in draws])
    assert corrected == pytest.approx(exact.sum(), rel=0.05)
    assert np.mean([exact[d].sum() for d in draws]) < 0.7 * exact.sum()


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=50),
    st.integers(1, 60),
    st.sampled_from(["uniform", "popularity"]),
)
def test_chances_are_chances_and_sum_to_the_count(
    degree: list[int], count: int, sampler: str
) -> None:
    chance = inclusion(np.array(degree), count, sampler)  # type: ignore[arg-type]
    assert ((chance > 0) & (chance <= 1)).all()
    assert chance.sum() == pytest.approx(min(count, len(degree)), rel=0.05)


def test_popular_items_are_likelier_candidates_and_the_power_says_how_much() -> None:
    degree = np.array([100] * 5 + [1] * 200)
    even, by_root, by_count = (
        inclusion(degree, 5, "popularity", power=power) for power in (0.0, 0.5, 1.0)
    )
    assert even[0] == pytest.approx(even[-1])
    assert by_root[0] == pytest.approx(10 * by_root[-1])
    assert by_count[0] == pytest.approx(100 * by_count[-1])


def test_in_a_batch_an_item_is_a_candidate_as_often_as_it_is_a_target() -> None:
    degree, targets = np.array([60, 30, 9, 1]), 5
    rng = np.random.default_rng(0)
    batches = rng.choice(4, (20_000, targets), p=degree / 100)
    seen = [(batches == item).any(axis=1).mean() for item in range(4)]
    np.testing.assert_allclose(inclusion(degree, targets, "batch"), seen, atol=0.01)


def test_hard_negatives_are_the_best_ones() -> None:
    """Of the negatives 3, 2 and -1 the best two are left beside the target 1."""
    negatives = torch.tensor([[3.0, 2.0, -1.0, -torch.inf]])
    loss = ranking_loss(
        torch.tensor([1.0]), torch.tensor([0]), negatives, LossConfig(hard_negatives=2)
    )
    assert float(loss) == pytest.approx(np.log(np.exp([1.0, 3.0, 2.0]).sum()) - 1.0)


def test_bpr_by_hand() -> None:
    """One negative is left, whatever is drawn: -log σ(1 - 0.5)."""
    negatives = torch.tensor([[0.5]])
    loss = bpr_loss(torch.tensor([1.0]), torch.tensor([0]), negatives)
    assert float(loss) == pytest.approx(np.log1p(np.exp(-0.5)))
    blocked = torch.tensor([[-torch.inf]], requires_grad=True)
    nothing = bpr_loss(torch.tensor([1.0]), torch.tensor([0]), blocked)
    assert float(nothing.detach()) == 0.0


def test_the_best_of_many_draws_is_a_harder_negative() -> None:
    scores, row, column = scored(200, 50, 1)
    positive, negatives = apart(scores, row, column)
    torch.manual_seed(0)
    easy = float(bpr_loss(positive, row, negatives))
    assert float(bpr_loss(positive, row, negatives, num_negatives=10)) > easy + 0.5


def test_smoothing_owes_every_candidate_a_share() -> None:
    """Sure of the target, the plain loss is nearly 0, and the smoothed one is not."""
    positive, negatives = torch.tensor([20.0]), torch.zeros(1, 4)
    row = torch.tensor([0])
    assert float(ranking_loss(positive, row, negatives, LossConfig())) < 1e-6
    smoothed = ranking_loss(positive, row, negatives, LossConfig(smoothing=0.1))
    assert float(smoothed) == pytest.approx(0.1 * 20.0, rel=1e-4)


def test_rows_without_targets_or_negatives_do_no_harm() -> None:
    negatives = torch.full((3, 4), -torch.inf, requires_grad=True)
    positive = torch.tensor([2.0], requires_grad=True)
    loss = ranking_loss(positive, torch.tensor([1]), negatives, LossConfig())
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert positive.grad is not None
    assert torch.isfinite(positive.grad).all()
    none = torch.tensor([], dtype=torch.long)
    assert float(ranking_loss(torch.tensor([]), none, torch.zeros(2, 2), LossConfig())) == 0.0


def test_the_softmax_loss_by_hand() -> None:
    scores = torch.tensor([[0.0, 0.0, -torch.inf], [1.0, 2.0, 3.0]])
    loss = softmax_loss(scores, torch.tensor([0, 1]), torch.tensor([1, 2]))
    second = np.log(np.exp([1.0, 2.0, 3.0]).sum()) - 3.0
    assert float(loss) == pytest.approx((np.log(2.0) + second) / 2)
    assert float(softmax_loss(scores[1:], torch.tensor([]), torch.tensor([]))) == 0.0
