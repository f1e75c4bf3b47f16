from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from kgrec.errors import ModelError
from kgrec.training.loop import Schedule, seeded, train
from kgrec.training.losses import softmax_loss


class Point(nn.Module):
    def __init__(self, start: float) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor([start]))


def test_one_step_is_the_step_computed_by_hand() -> None:
    """Adam's first step is the rate times the sign of the gradient; here x² at x = 2."""
    point = Point(2.0)
    schedule = Schedule(steps=1, rate=0.1, warmup=0, decay_at=1.0)
    trained = train(point, lambda: (point.x**2).sum(), schedule)
    assert float(point.x.detach()) == pytest.approx(1.9, abs=1e-6)
    assert trained.losses == (4.0,)


def test_two_steps_are_the_steps_computed_by_hand() -> None:
    """g = 4, then 3.8: m = .78, v = .302 3…; x falls by .1 · m̂ / √v̂ with the usual corrections."""
    point = Point(2.0)
    schedule = Schedule(steps=2, rate=0.1, warmup=0, decay_at=1.0)
    train(point, lambda: (point.x**2).sum(), schedule)
    first, second = 4.0, 2 * 1.9
    m = (0.9 * 0.1 * first + 0.1 * second) / (1 - 0.9**2)
    v = (0.99 * 0.01 * first**2 + 0.01 * second**2) / (1 - 0.99**2)
    assert float(point.x.detach()) == pytest.approx(1.9 - 0.1 * m / np.sqrt(v), abs=1e-5)


def test_the_rate_rises_then_falls() -> None:
    schedule = Schedule(steps=10, rate=1.0, warmup=4, decay_at=0.5, decay=0.1)
    rates = [schedule.rate_at(step) for step in range(10)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.1])


def test_the_best_parameters_are_kept_and_training_stops() -> None:
    point = Point(0.0)
    seen: list[float] = []

    def measure() -> float:
        seen.append(float(point.x.detach()))
        return -abs(seen[-1] - 1.0)

    schedule = Schedule(
        steps=1000, rate=0.1, warmup=0, decay_at=1.0, check_every=5, check_from=5, patience=2
    )
    trained = train(point, lambda: -point.x.sum(), schedule, measure=measure)
    assert trained.steps == 10
    assert len(trained.losses) == 20
    assert float(point.x.detach()) == pytest.approx(1.0, abs=1e-4)
    assert trained.best == max(-abs(x - 1.0) for x in seen)


def test_a_training_can_be_ended_where_an_earlier_one_was_best() -> None:
    point = Point(0.0)
    schedule = Schedule(steps=1000, rate=0.1, warmup=0)
    assert train(point, lambda: -point.x.sum(), schedule, stop_after=7).steps == 7


def test_a_loss_that_is_no_number_is_an_error() -> None:
    point = Point(0.0)
    with pytest.raises(ModelError, match="no number"):
        train(point, lambda: (point.x * torch.nan).sum(), Schedule())


def test_seeds_are_fixed_inside_and_given_back_after() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    with seeded(5):
        first = torch.rand(3)
    with seeded(5):
        second = torch.rand(3)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_softmax_loss_by_hand() -> None:
    scores = torch.tensor([[0.0, 0.0, -torch.inf], [1.0, 2.0, 3.0]])
    loss = softmax_loss(scores, torch.tensor([0, 1]), torch.tensor([1, 2]))
    second = np.log(np.exp([1.0, 2.0, 3.0]).sum()) - 3.0
    assert float(loss) == pytest.approx((np.log(2.0) + second) / 2)
    assert float(softmax_loss(scores[1:], torch.tensor([]), torch.tensor([]))) == 0.0
