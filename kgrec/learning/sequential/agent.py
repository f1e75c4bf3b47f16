"""The sequential agent: attention over the order, times and context of a history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from kgrec.data.dataset import FloatArray, IntArray, Interactions
from kgrec.errors import ModelError
from kgrec.learning.agent import AgentConfig, Choices, FitContext, NothingToLearnError, Range, Space
from kgrec.learning.knowledge_features import degree_features
from kgrec.learning.link_prediction.batches import Budget, negatives_of
from kgrec.learning.sequential.examples import (
    Examples,
    ExampleSource,
    has_order,
    shared_examples,
)
from kgrec.learning.sequential.network import Items, SequenceNetwork, TensorTokens
from kgrec.metrics.validation import Objective
from kgrec.model.folding.formulas import SequenceFormula
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.sequence_reader import SequenceReader
from kgrec.model.tokens import ReaderSettings, Tokens, squashed
from kgrec.training.loop import Schedule, seeded, train
from kgrec.training.losses import LossConfig, ranking_loss, softmax_loss

_USUAL_KINDS = 8
"""Kinds that every reader has a vector for; those that came later only where they occur, so that a
training without them draws the same numbers."""


_HOPELESS = 0.5
"""A training is given up at its third validation below this share of another agent's metric."""


class SequentialConfig(AgentConfig):
    """Settings of the sequential agent.

    Attributes:
        fill: share of the examples whose targets are masked items rather than the next ones; None
            means 0 where the validation part is later than the training part, and 1 where both
            are of the same time.
        steps: number of training steps; None stops early by the validation metric.
        hidden: share of the items that are masked as targets.
        horizon: number of next items that are targets.
        timeless: share of the histories whose times are dropped.
        max_length: L, number of last items of a history that are read; None means 50 where the
            next items are targets and 200 where masked items are.
        embedding_dim: size of the item vectors.
        kappa: κ, number of interactions at which an item's own embedding has weight one half.
        drop: dropout of an item's interactions in its degree.
        width, layers, heads, dropout: settings of the transformer; by default it has no layers, so
            that the query attends to the history items and these not to each other.
        batch_size: number of histories in a step.
        max_cells: maximum number of scores in a step; beyond it candidates are sampled.
        loss: loss and negative sampling.
    """

    reads_texts: ClassVar[bool] = True
    searched: ClassVar[Mapping[str, Space]] = {
        "hidden": Range(0.1, 0.7),
        "max_length": Choices((50, 100, 200)),
        "drop": Range(0.0, 0.6),
        "embedding_dim": Choices((32, 64, 128)),
    }

    fill: float | None = Field(default=None, ge=0, le=1)
    steps: int | None = Field(default=None, ge=1)
    hidden: float = Field(default=0.3, gt=0, lt=1)
    horizon: int = Field(default=1, ge=1)
    timeless: float = Field(default=0.1, ge=0, le=1)
    max_length: int | None = Field(default=None, ge=1)
    embedding_dim: int = Field(default=64, ge=1)
    kappa: float = Field(default=0.5, gt=0)
    drop: float = Field(default=0.3, ge=0, lt=1)
    width: int = Field(default=32, ge=1)
    layers: int = Field(default=0, ge=0)
    heads: int = Field(default=2, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    batch_size: int = Field(default=300, ge=1)
    max_cells: int = Field(default=16_000_000, ge=1)
    loss: LossConfig = LossConfig()
    schedule: Schedule = Schedule(steps=200, rate=0.02, check_from=20, check_every=20, patience=3)
    objective: Objective = Objective()

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of the {self.heads} heads")
        return self


class SequentialAgent:
    """Learns history weights from order, time and context, to predict the next items.

    See `kgrec.learning.sequential.network` for the network and its papers. Rows of a file have no
    order: without times this agent would be a model of sets, as `collaborative` is, so it needs
    times.
    """

    name: ClassVar[str] = "sequential"
    Config: ClassVar[type[SequentialConfig]] = SequentialConfig
    shares_batches: ClassVar[bool] = True

    def __init__(self, config: SequentialConfig | None = None) -> None:
        self.config = config or SequentialConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Train the network and return its kernel; see `Agent.fit`."""
        return self.problem(context).fit()

    def problem(self, context: FitContext) -> SequenceProblem:
        """Return the training problem of this data set."""
        return SequenceProblem(context, self.config)


class SequenceProblem:
    """The training problem of one data set.

    Raises:
        NothingToLearnError: there are no times to order by.
    """

    name = "sequential"

    def __init__(self, context: FitContext, config: SequentialConfig) -> None:
        self.context, self.config = context, config
        self.learned = Histories.of(
            context.train.interactions, context.train.num_users, context.train.num_items
        )
        if not has_order(self.learned):
            raise NothingToLearnError("the sequential agent needs the times of interactions")
        self.held_out = context.held_out(config.objective)
        self.fill = self._fill() if config.fill is None else config.fill
        self.degree = np.bincount(self.learned.item, minlength=context.train.num_items)
        self.features = degree_features(context.train, 0.0)
        self.text, self.failure = _text(context)
        values = squashed(self.learned.value)
        self.settings = ReaderSettings(
            kinds=1 + max(_USUAL_KINDS, int(self.learned.kind.max(initial=0))),
            max_length=config.max_length or (200 if self.fill > 0.5 else 50),
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            value_mean=float(values.mean()),
            value_deviation=float(values.std()),
        )

    def _fill(self) -> float:
        """Return 1 where most of the validation part is not later than the training part, or 0."""
        held_out = self.context.validation
        if held_out is None or not len(held_out):
            return 0.0
        last = np.zeros(len(self.learned), dtype=np.int64)
        np.maximum.at(last, self.learned.owner, self.learned.at)
        return float((held_out.at < last[held_out.user]).mean() > 0.5)

    def fit(self) -> Kernel:
        """Train a network and return its kernel."""
        context, config, workers = self.context, self.config, self.context.workers
        with seeded(context.seed):
            network, rng = self.network(), np.random.default_rng(context.seed)
            # Two generators: one that all processes advance alike, and one for a process's share.
            own = rng if workers.world == 1 else np.random.default_rng([context.seed, workers.rank])
            source, measure = self.source(), partial(self.measure, network)

            def loss() -> Tensor:
                examples, share = shared_examples(source.sample(self.budget.users, rng), workers)
                return share * self.loss(network.train(), examples, own)

            trained = train(
                network,
                workers.parallel(network, loss),
                config.schedule,
                measure=partial(workers.once, measure) if self.held_out else None,
                stop_after=config.steps,
                name="sequential",
                progress=context.progress,
                generator=rng,
                files=context.files(config),
                least=self._least(),
                time_is_up=context.time_is_up,
            )
        return self.kernel(network, self.chosen(trained.steps))

    def _least(self) -> dict[int, float]:
        """Return by step the metric below which the training is not worth going on with."""
        schedule, known = self.config.schedule, self.context.validated
        third = schedule.check_from + 2 * schedule.check_every
        return {third: _HOPELESS * max(known.values(), default=0.0)}

    def taus(self) -> tuple[float, ...]:
        """Return the single temperature of the softmax, which is not a setting here."""
        return (1.0,)

    def learner(self, tau: float) -> SequenceLearner:
        """Return a training of a new network, step by step; see `taus`."""
        return SequenceLearner(self)

    def chosen(self, steps: int) -> dict[str, float | int]:
        """Return the chosen settings of a training with this number of steps."""
        return {"fill": self.fill, "max_length": self.settings.max_length, "steps": steps}

    def network(self) -> SequenceNetwork:
        """Return a new network."""
        return SequenceNetwork(
            self.context.train.num_items,
            self.features,
            self.text,
            self.settings,
            embedding_dim=self.config.embedding_dim,
            dropout=self.config.dropout,
            device=self.context.device,
        )

    def source(self) -> ExampleSource:
        """Return the sampler of examples."""
        config = self.config
        return ExampleSource(
            self.learned,
            fill=self.fill,
            hidden=config.hidden,
            horizon=config.horizon,
            timeless=config.timeless,
        )

    @property
    def budget(self) -> Budget:
        """Number of histories in a step, and of candidates where not all items fit."""
        size, cells = self.config.batch_size, self.config.max_cells
        room = Budget.of(len(self.degree), size, cells, self.config.loss)
        return replace(room, users=min(size, room.users))

    def items(self, degree: IntArray, rows: IntArray | None = None) -> Items:
        """Return all items, or those in `rows`, gated by their degree in the training data, [I]."""
        counts = degree if rows is None else degree[rows]
        gate = (counts / (counts + self.config.kappa)).astype(np.float32)
        return Items(gate, rows, self.context.device)

    def loss(
        self, network: SequenceNetwork, examples: Examples, rng: np.random.Generator
    ) -> Tensor:
        """Return the loss of the targets among the items that are not in the history; a scalar."""
        config, histories = self.config.loss, examples.histories
        sampled, log_inclusion = negatives_of(
            self.degree, examples.item, histories.shape[0], self.budget, config, rng
        )
        rows = None
        if sampled is not None:
            rows = np.unique(np.concatenate([histories.item, examples.item, sampled]))
        places = _Places(len(self.degree), rows, sampled, self.context.device)
        items = self.items(rng.binomial(self.degree, 1.0 - self.config.drop), rows)
        history, candidate = network.vectors(items)
        prior = network.prior(items)
        tokens = Tokens.of(histories, self.settings)
        tensors = TensorTokens(
            replace(tokens, item=places.of(tokens.item)), self.settings.kinds, self.context.device
        )
        query = network.queries(tensors, history)  # [B, D]
        scores = query @ places.columns(candidate).T + places.columns(prior)  # [B, C]
        scores[places.cells(histories.owner, histories.item)] = -torch.inf
        row, item = places.tensor(examples.row), places.tensor(places.of(examples.item))
        if sampled is None and config == LossConfig():
            return softmax_loss(scores, row, item)
        positive = (query[row] * candidate[item]).sum(dim=1) + prior[item]  # [T]
        scores[places.cells(examples.row, examples.item)] = -torch.inf
        inclusion = None if log_inclusion is None else places.tensor(log_inclusion)
        return ranking_loss(positive, row, scores, config, inclusion)

    def measure(self, network: SequenceNetwork) -> float:
        assert self.held_out is not None  # noqa: S101 - callers check that there is one
        return self.held_out.measure(self.kernel(network, {}).scores)

    @torch.no_grad()
    def kernel(self, network: SequenceNetwork, chosen: dict[str, float | int]) -> Kernel:
        """Return the kernel of a network."""
        network.eval()
        items = self.items(self.degree)
        history, candidate = network.vectors(items)
        parameters = {
            name: value.cpu().numpy().copy() for name, value in network.reader.state_dict().items()
        }
        content = network.content(history).cpu().numpy()
        return Kernel(
            SequentialAgent.name,
            history_factors=history.cpu().numpy(),
            item_factors=candidate.cpu().numpy(),
            prior=network.prior(items).cpu().numpy(),
            attention=SequenceReader(self.settings, content, parameters),
            chosen=chosen,
            notes={"texts": self.failure} if self.failure else {},
            reads={"factors": network.sources, "prior": ("interactions",)},
            inductive=SequenceFormula(
                embeddings=_plain(network.feature),
                text=None if network.text is None else _plain(network.text.weight),
                content=network.content.weight.cpu().numpy().copy(),
                cold_prior=float(network.cold_bias),
            ),
        )


def _plain(tensor: Tensor | None) -> FloatArray | None:
    return None if tensor is None else tensor.detach().cpu().numpy().copy()


class SequenceLearner:
    """One training of the problem, for joint training (`kgrec.learning.joint`)."""

    def __init__(self, problem: SequenceProblem) -> None:
        self.problem, self.network, self._source = problem, problem.network(), problem.source()

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Return the loss of a batch, sampled as in training alone."""
        examples = self._source.sample(self.problem.budget.users, rng)
        return self.problem.loss(self.network.train(), examples, rng)

    def logits(self, visible: Interactions, users: IntArray) -> Tensor:
        """Score all items for the visible histories of users, float32 [B, I]."""
        problem, train = self.problem, self.problem.context.train
        histories = Histories.of(visible, train.num_users, train.num_items)[users]
        places = _Places(train.num_items, None, None, problem.context.device)
        tokens = TensorTokens(
            Tokens.of(histories, problem.settings),
            problem.settings.kinds,
            problem.context.device,
        )
        items = problem.items(problem.degree)
        history, candidate = self.network.train().vectors(items)
        scores = self.network.queries(tokens, history) @ candidate.T + self.network.prior(items)
        return scores.index_put(
            places.cells(histories.owner, histories.item), scores.new_tensor(-torch.inf)
        )

    def kernel(self, steps: int) -> Kernel:
        """Return the kernel after a number of steps."""
        return self.problem.kernel(self.network, self.problem.chosen(steps))


class _Places:
    """Positions of items among the vectors and among the candidates of a step.

    Args:
        num_items: I.
        rows: items with vectors, int64 [V]; None for all.
        sampled: candidates among them, int64 [C]; None for all.
    """

    def __init__(
        self, num_items: int, rows: IntArray | None, sampled: IntArray | None, device: str
    ) -> None:
        self._rows, self._device = rows, device
        self._column = np.arange(num_items)
        self._sampled = None
        if sampled is not None:
            self._column = np.full(num_items, -1, dtype=np.int64)
            self._column[sampled] = np.arange(len(sampled))
            self._sampled = self.tensor(self.of(sampled))

    def of(self, items: IntArray) -> IntArray:
        """Return the positions of items among the vectors."""
        return items if self._rows is None else np.searchsorted(self._rows, items)

    def columns(self, values: Tensor) -> Tensor:
        """Return the values of the candidates from values of all items with vectors."""
        return values if self._sampled is None else values[self._sampled]

    def cells(self, row: IntArray, items: IntArray) -> tuple[Tensor, Tensor]:
        """Return the cells of pairs in the score matrix, for pairs whose item is a candidate."""
        column = self._column[items]
        kept = column >= 0
        return self.tensor(row[kept]), self.tensor(column[kept])

    def tensor(self, array: IntArray | FloatArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def _text(context: FitContext) -> tuple[FloatArray | None, str]:
    """Return sentence vectors of the item texts, [I, S], 0 for an empty one, or None and why."""
    texts = context.train.item_texts
    written = np.flatnonzero([bool(text.strip()) for text in texts])
    if len(written) < 2 or context.encode is None:
        return None, ""
    try:
        encoded = context.encode([texts[row] for row in written])
    except ModelError as error:  # this agent does not need texts
        return None, f"not read: {error}"
    vectors = np.zeros((context.train.num_items, encoded.shape[1]), dtype=np.float32)
    vectors[written] = encoded
    return vectors, ""
