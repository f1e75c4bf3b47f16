"""Training of the ranker: a listwise softmax over candidates, and the values of targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.model.histories import Histories
from kgrec.model.ranker import Floats, Ratings, days_ago

_SCALE = range(2, 21)
"""Maximum number of distinct values of ratings; more are counts, such as plays."""


@dataclass(frozen=True, eq=False)
class RankedUser:
    """One user with the candidates that are reordered, by descending score.

    Attributes:
        history: of the user, H items.
        items: rows of the candidates, int64 [C].
        scores: scores of the team, float32 [C].
        target: whether the candidate is a held-out item, bool [C].
        value: value of the interaction, float64 [C]; NaN without target or value.
        similarity: S_k(h, i) of each agent, float32 [A, H, C].
    """

    history: Histories
    items: IntArray
    scores: FloatArray
    target: NDArray[np.bool_]
    value: Floats
    similarity: FloatArray

    def first(self, number: int) -> RankedUser:
        """Return the user with the first candidates alone."""
        return replace(
            self,
            items=self.items[:number],
            scores=self.scores[:number],
            target=self.target[:number],
            value=self.value[:number],
            similarity=self.similarity[:, :, :number],
        )


@dataclass(frozen=True)
class Learned:
    """The learned parameters of a ranker, named as in `Ranker`.

    Attributes:
        prior: weights of p and p², float64 [2].
        trust: weights of `Ratings`; used only where `rated`.
    """

    attention_weights: Floats
    value_weights: Floats
    popularity_weights: Floats
    prior: Floats
    recency: float
    liking: float
    trust: float
    rated: bool


def popularity(known: Interactions, num_items: int) -> FloatArray:
    """Return the logarithm of 1 + each item's users, of mean 0 and variance 1, float32 [I].

    A cold item gets 0, the mean: its popularity is unknown, not low.
    """
    users = known.matrix(int(known.user.max(initial=0)) + 1, num_items).getnnz(axis=0)
    popular = np.zeros(num_items, dtype=np.float32)
    seen = users > 0
    if seen.any():
        logs = np.log1p(users[seen].astype(np.float64))
        popular[seen] = (logs - logs.mean()) / max(float(logs.std()), 1e-9)
    return popular


def ratings_of(known: Interactions, num_items: int, *, damping: float = 10.0) -> Ratings | None:
    """Return the mean rating of each item, or None where the values are no ratings.

    Only the most frequent kind of interaction is used. Its values are ratings where they lie on a
    scale of a few steps; a constant is none, and counts are none. The mean of an item is shrunk to
    the mean of all items, as if it had `damping` more ratings of that value.
    """
    if not len(known):
        return None
    kind = int(np.bincount(known.kind).argmax())
    rated = known.take(known.kind == kind)
    if len(np.unique(rated.value)) not in _SCALE:
        return None
    mean = float(rated.value.mean(dtype=np.float64))
    total = np.bincount(rated.item, weights=rated.value, minlength=num_items)
    count = np.bincount(rated.item, minlength=num_items)
    item_mean = ((total + damping * mean) / (count + damping)).astype(np.float32)
    return Ratings(item_mean, kind, trust=1.0)


_LEAST_LOSS = 1e-6


def learn(
    blocks: Sequence[RankedUser],
    popularity: FloatArray,
    ratings: Ratings | None,
    *,
    ridge: float,
    iterations: int,
) -> Learned:
    """Minimise the loss of both tasks by L-BFGS.

    The targets are learned by a softmax over the candidates, which are the best of the team and so
    hard negatives; the values by a squared error. The tasks are weighted by their uncertainty
    (Kendall et al. 2018, "Multi-Task Learning Using Uncertainty to Weigh Losses"); with the optimal
    weights put in, the objective is the sum of the logs of the two losses.

    Args:
        popularity: p, float32 [I].
        ratings: ratings of the items; None where there are none.
        ridge: weight of the squared norm of all parameters.
        iterations: maximum number of L-BFGS iterations.
    """
    data = _Tensors.of(blocks, popularity, ratings)
    network = _Network(len(data.similarity), ratings is not None)
    if not data.targets:
        return network.learned(data)
    optimiser = torch.optim.LBFGS(
        network.parameters(), max_iter=iterations, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = network.loss(data) + ridge * network.square()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return network.learned(data)


@dataclass(frozen=True, eq=False)
class _Tensors:
    """A batch of all users: E history entries of B users, C candidates each.

    Attributes:
        owner: int64 [E].
        similarity: scaled to variance 1, A of [E, C]; `scale` is the divisor, [A].
        days, liked: times and `residual` scaled to variance 1, [E]; `units` are the divisors.
        seen, wanted: popularities of history items and candidates, [E] and [B, C].
        scores, target: [B, C]; the score of padding is -1e9.
        surprise: value less the item's mean, [E]; usual, value: [B, C], NaN where unknown.
    """

    owner: Tensor
    similarity: list[Tensor]
    scale: Floats
    days: Tensor
    liked: Tensor
    units: tuple[float, float]
    seen: Tensor
    wanted: Tensor
    scores: Tensor
    target: Tensor
    residual: Tensor
    item_mean: Tensor
    value: Tensor

    @property
    def targets(self) -> bool:
        return bool(self.target.any())

    @classmethod
    def of(
        cls, blocks: Sequence[RankedUser], popularity: FloatArray, ratings: Ratings | None
    ) -> _Tensors:
        width = max(len(block.items) for block in blocks)

        def wide(name: str, fill: float) -> FloatArray:
            rows = np.full((len(blocks), width), fill, dtype=np.float32)
            for row, block in zip(rows, blocks, strict=True):
                row[: len(block.items)] = getattr(block, name)
            return rows

        owner = np.repeat(np.arange(len(blocks)), [len(block.history.item) for block in blocks])
        similarity = np.zeros((len(blocks[0].similarity), len(owner), width), dtype=np.float32)
        begun = 0
        for block in blocks:
            size = block.similarity.shape[1]
            similarity[:, begun : begun + size, : block.similarity.shape[2]] = block.similarity
            begun += size
        scale = np.array([_deviation(each) for each in similarity])
        item = np.concatenate([block.history.item for block in blocks])
        candidates = wide("items", 0).astype(np.int64)
        age = np.concatenate([days_ago(block.history) for block in blocks])
        differs = np.zeros(len(item))
        item_mean = np.zeros(len(popularity), dtype=np.float32)
        if ratings is not None:
            differs = np.concatenate([ratings.residual(block.history) for block in blocks])
            item_mean = ratings.item_mean
        units = (_deviation(age), _deviation(differs))
        return cls(
            torch.from_numpy(owner),
            [
                torch.from_numpy(each / np.float32(s))
                for each, s in zip(similarity, scale, strict=True)
            ],
            scale,
            _tensor(age / units[0]),
            _tensor(differs / units[1]),
            units,
            _tensor(popularity[item]),
            _tensor(popularity[candidates]),
            _tensor(wide("scores", -1e9)),
            _tensor(wide("target", 0.0)),
            _tensor(differs),
            _tensor(item_mean[candidates]),
            _tensor(wide("value", np.nan)),
        )


class _Network(torch.nn.Module):
    """The ranker in torch; the same function as `Ranker`."""

    def __init__(self, agents: int, rated: bool) -> None:
        super().__init__()
        self.rated = rated
        self.attention_weights = torch.nn.Parameter(torch.full((agents,), 0.5 / agents))
        self.value_weights = torch.nn.Parameter(torch.zeros(agents))
        self.popularity_weights = torch.nn.Parameter(torch.zeros(2))
        self.prior = torch.nn.Parameter(torch.zeros(2))
        self.context = torch.nn.Parameter(torch.zeros(2))
        self.trust = torch.nn.Parameter(torch.zeros(()))
        # Factor of the team's score beside r. The stored ranker adds r to the unscaled score, so r
        # is divided by it at the end.
        self.sharpness = torch.nn.Parameter(torch.zeros(()))

    def loss(self, data: _Tensors) -> Tensor:
        """Return the sum of the logs of the losses, a scalar."""
        users = len(data.scores)
        logits = (self.context[0] * data.days + self.context[1] * data.liked)[:, None]
        seen = data.seen[:, None]
        wanted = data.wanted[data.owner]  # [E, C]
        pooled = (
            self.popularity_weights[0] * seen * wanted
            + self.popularity_weights[1] * (seen - wanted).abs()
        )
        for k, similarity in enumerate(data.similarity):
            logits = logits + self.attention_weights[k] * similarity
            pooled = pooled + self.value_weights[k] * similarity
        weights = softmax_within(logits, data.owner, users)
        r = _summed(weights * pooled, data.owner, users)  # [B, C]
        r = r + self.prior[0] * data.wanted + self.prior[1] * data.wanted**2
        scores = self.sharpness.exp() * data.scores + r
        interest = -(torch.log_softmax(scores, dim=1) * data.target).sum() / data.target.sum()
        # A perfect ranking has loss 0, whose log is not finite.
        interest = interest.clamp(min=_LEAST_LOSS).log()
        known = ~torch.isnan(data.value)
        if not self.rated or not bool(known.any()):
            return interest
        residual = _summed(weights * data.residual[:, None], data.owner, users)
        guess = data.item_mean + torch.sigmoid(self.trust) * residual
        error = (guess - data.value)[known].square().mean()
        return interest + (error + _LEAST_LOSS).log()

    def square(self) -> Tensor:
        """Return the squared norm of the regularised parameters, a scalar."""
        held = (
            self.attention_weights,
            self.value_weights,
            self.popularity_weights,
            self.prior,
            self.context,
        )
        return torch.stack([each.square().sum() for each in held]).sum()

    @torch.no_grad()
    def learned(self, data: _Tensors) -> Learned:
        """Return the parameters for unscaled similarities, times and values."""
        worth = float(self.sharpness.exp())

        def plain(parameter: Tensor) -> Floats:
            return parameter.numpy().astype(np.float64)

        recency, liking = plain(self.context) / data.units
        return Learned(
            plain(self.attention_weights) / data.scale,
            plain(self.value_weights) / data.scale / worth,
            plain(self.popularity_weights) / worth,
            plain(self.prior) / worth,
            float(recency),
            float(liking),
            float(torch.sigmoid(self.trust)),
            self.rated,
        )


def softmax_within(logits: Tensor, owner: Tensor, users: int) -> Tensor:
    """Return the softmax over the entries of each user, [E, C]."""
    index = owner[:, None].expand_as(logits)
    most = torch.full((users, logits.shape[1]), -torch.inf)
    most = most.scatter_reduce(0, index, logits.detach(), "amax")
    strength = (logits - most[owner]).exp()
    return strength / _summed(strength, owner, users)[owner]


def _summed(entries: Tensor, owner: Tensor, users: int) -> Tensor:
    return entries.new_zeros(users, entries.shape[1]).index_add(0, owner, entries)


def _deviation(values: NDArray[np.floating]) -> float:
    """Return the standard deviation; 1 for no values or a constant, as it is a divisor."""
    deviation = float(values.std(dtype=np.float64)) if values.size else 0.0
    return deviation if deviation > 1e-9 else 1.0


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
