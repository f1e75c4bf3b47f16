from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from kgrec.errors import ModelError
from kgrec.training.loop import Schedule, seeded, train
from kgrec.training.optimisation import clip_gradient


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


@pytest.mark.parametrize(
    ("least", "steps"), [({5: 0.2, 10: 0.4, 15: 0.6}, 20), ({5: 0.9}, 5), ({10: 1.2, 20: 9.0}, 10)]
)
def test_a_training_that_is_behind_another_is_given_up(least: dict[int, float], steps: int) -> None:
    point = Point(0.0)
    schedule = Schedule(steps=20, rate=0.1, warmup=0, check_every=5, check_from=5)

    def measure() -> float:
        return float(point.x.detach())

    trained = train(point, lambda: -point.x.sum(), schedule, measure=measure, least=least)
    assert trained.course[5] == pytest.approx(0.5, abs=0.01)
    assert sorted(trained.course) == list(range(5, steps + 1, 5))
    assert len(trained.losses) == steps


def test_a_training_whose_time_is_up_ends_with_one_more_step_and_is_measured() -> None:
    point, answers = Point(0.0), iter([False] * 6 + [True] * 100)
    schedule = Schedule(steps=1000, rate=0.1, warmup=0, check_from=60)
    trained = train(
        point,
        lambda: -point.x.sum(),
        schedule,
        measure=lambda: 0.25,
        time_is_up=lambda: next(answers),
    )
    assert (trained.steps, len(trained.losses), trained.best) == (7, 7, 0.25)


def test_a_training_can_be_ended_where_an_earlier_one_was_best() -> None:
    point = Point(0.0)
    schedule = Schedule(steps=1000, rate=0.1, warmup=0)
    assert train(point, lambda: -point.x.sum(), schedule, stop_after=7).steps == 7


def test_a_training_that_ends_early_is_measured_all_the_same() -> None:
    """Settings that fix the steps, such as those of an agent, are still compared by the metric."""
    point = Point(0.0)
    schedule = Schedule(steps=1000, check_from=60)
    trained = train(point, lambda: -point.x.sum(), schedule, measure=lambda: 0.25, stop_after=7)
    assert (trained.steps, trained.best) == (7, 0.25)


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    point = Point(0.0)
    with pytest.raises(ModelError, match="not finite"):
        train(point, lambda: (point.x * torch.nan).sum(), Schedule())


@pytest.mark.parametrize("betas", [(0.9, 1.0), (-0.1, 0.99)])
def test_moments_that_do_not_decay_are_refused(betas: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="betas"):
        Schedule(betas=betas)


def test_seeds_are_fixed_inside_and_given_back_after() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    with seeded(5):
        first = torch.rand(3)
    with seeded(5):
        second = torch.rand(3)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_cosine_rises_then_falls_to_its_share() -> None:
    schedule = Schedule(steps=9, rate=1.0, warmup=4, curve="cosine", decay=0.2)
    rates = [schedule.rate_at(step) for step in range(9)]
    assert rates[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[6] == pytest.approx(0.6)
    assert rates[8] == pytest.approx(0.2)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_accumulated_losses_are_one_step_along_their_mean() -> None:
    """Adam's first step would not tell the difference, the second does: (4 + 0) / 2, then 2 - m."""
    goals = iter([0.0, 2.0, 0.0, 2.0])
    point, mean = Point(2.0), Point(2.0)
    schedule = Schedule(steps=2, rate=0.1, warmup=0, accumulate=2)
    trained = train(point, lambda: (point.x - next(goals)).square().sum(), schedule)
    alone = schedule.model_copy(update={"accumulate": 1})
    expected = train(
        mean, lambda: (mean.x.square().sum() + (mean.x - 2.0).square().sum()) / 2, alone
    )
    assert float(point.x.detach()) == pytest.approx(float(mean.x.detach()), abs=1e-6)
    assert trained.losses == pytest.approx(expected.losses)


def test_a_long_gradient_is_shortened_and_a_short_one_is_not() -> None:
    model = nn.Linear(3, 2, bias=False)
    table = nn.Embedding(4, 2, sparse=True)
    loss = model(torch.ones(3)).sum() * 3 + table(torch.tensor([1, 1])).sum()
    loss.backward()
    parameters = [*model.parameters(), *table.parameters()]
    length = np.sqrt(6 * 9.0 + 2 * 4.0)
    assert clip_gradient(parameters, 100.0) == pytest.approx(length)
    assert clip_gradient(parameters, 0.5) == pytest.approx(length)
    assert clip_gradient(parameters, 0.5) == pytest.approx(0.5)
    assert model.weight.grad is not None
    assert float(model.weight.grad[0, 0]) == pytest.approx(3 * 0.5 / length)


def test_only_the_rows_of_a_step_move() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    before = table.weight.detach().clone()
    schedule = Schedule(steps=3, warmup=0)
    train(table, lambda: table(torch.tensor([2])).square().sum(), schedule, row_wise=[table.weight])
    moved = (table.weight.detach() != before).any(dim=1)
    assert moved.tolist() == [False, False, True, False]


def test_half_precision_is_used_in_the_step_and_nowhere_else() -> None:
    model = nn.Linear(4, 4)
    seen: list[torch.dtype] = []

    def loss() -> torch.Tensor:
        out = model(torch.ones(1, 4))
        seen.append(out.dtype)
        return out.float().square().sum()

    train(model, loss, Schedule(steps=1, precision="bfloat16"))
    train(model, loss, Schedule(steps=1))
    assert seen == [torch.bfloat16, torch.float32]
    assert model.weight.dtype == torch.float32


def test_a_stretched_schedule_keeps_its_proportions() -> None:
    schedule = Schedule(steps=100, warmup=10, check_every=20, check_from=60)
    longer = schedule.stretched(2.5)
    assert [longer.rate_at(5 * n) for n in (1, 10, 30, 40)] == pytest.approx(
        [0.03 * 6 / 25, 0.03, 0.03, 0.009], abs=1e-3
    )


def _rough(seen: list[float]) -> Callable[[], float]:
    """Return a metric that grows for 4 looks, stands still, grows a little, and stands still."""
    values = iter([0.1, 0.2, 0.3, 0.4, 0.4, 0.5, 0.5, 0.5, 9.0])

    def measure() -> float:
        seen.append(next(values))
        return seen[-1]

    return measure


def _noisy(point: Point, seed: int) -> Callable[[], Tensor]:
    rng = np.random.default_rng(seed)
    return lambda: ((point.x - float(rng.normal())) ** 2).sum()


def test_the_rate_falls_where_the_validation_stands_still_and_training_ends_there_next() -> None:
    schedule = Schedule(curve="plateau", steps=500, warmup=0, check_every=5, check_from=5)
    point, seen = Point(3.0), []
    trained = train(point, _noisy(point, 1), schedule, measure=_rough(seen))
    assert (trained.fell, trained.steps, len(trained.losses)) == (25, 30, 40)
    assert seen == [0.1, 0.2, 0.3, 0.4, 0.4, 0.5, 0.5, 0.5]
    again = Point(3.0)
    known = schedule.model_copy(update={"falls_at": trained.fell})
    train(again, _noisy(again, 1), known, stop_after=trained.steps)
    assert torch.equal(point.x, again.x)  # without a validation, the same steps at the same rates
    other = Point(3.0)
    train(other, _noisy(other, 1), schedule, stop_after=trained.steps)
    assert not torch.equal(point.x, other.x)


def test_a_gain_below_the_least_is_kept_but_is_no_reason_to_wait() -> None:
    schedule = Schedule(
        curve="plateau", steps=500, warmup=0, check_every=5, check_from=5, least_gain=0.1
    )
    values = iter([1.0, 1.05, 1.09, 1.2, 1.25, 1.26, 0.0])
    point = Point(3.0)
    trained = train(point, _noisy(point, 1), schedule, measure=lambda: next(values))
    assert (trained.fell, trained.steps, trained.best) == (10, 30, 1.26)


def test_without_validation_a_plateau_has_its_usual_steps() -> None:
    schedule = Schedule(curve="plateau", steps=500, blind_steps=20, warmup=0, decay=0.5)
    assert len(train(point := Point(0.0), lambda: point.x.sum(), schedule).losses) == 20
    rates = [schedule.rate_at(step) for step in (13, 14)]
    assert rates == [schedule.rate, schedule.rate * 0.5]
    wide = schedule.stretched(3.0)
    assert (wide.steps, wide.blind_steps, wide.usual) == (1500, 60, 60)
