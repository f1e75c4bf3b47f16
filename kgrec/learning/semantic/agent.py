"""The semantic agent: similarity of item texts, which cold items have as well."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import ClassVar, TypeVar

import numpy as np
from pydantic import Field

from kgrec.errors import ModelError
from kgrec.learning.agent import AgentConfig, FitContext, NothingToLearnError, Range, Space
from kgrec.learning.semantic.projection import Projected, ProjectionConfig, learn_projection
from kgrec.learning.sentence_vectors import Directions
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.folding.formulas import TextFormula
from kgrec.model.kernel import Kernel

T = TypeVar("T")


class SemanticConfig(AgentConfig):
    """Settings of the semantic agent.

    Attributes:
        embedding_dim: number of principal directions of vectors that are not projected; None
            chooses among `embedding_dim_choices`.
        whitening: 0 keeps the variances of the directions, 1 makes them equal; None chooses among
            `whitening_choices`.
        steps: number of training steps of the projection, at most those of its schedule; 0 learns
            none, None chooses.
        projection: settings of the projection.
        max_names: maximum number of entity names that are added to an item's text.
        history_power: p, exponent of the normalisation by the length of a history.
    """

    reads_texts: ClassVar[bool] = True
    searched: ClassVar[Mapping[str, Space]] = {
        "history_power": Range(0.0, 1.0),
        "whitening": Range(0.0, 1.0),
    }

    embedding_dim: int | None = Field(default=None, ge=1)
    embedding_dim_choices: tuple[int, ...] = Field(default=(64, 128, 256, 384), min_length=1)
    whitening: float | None = Field(default=None, ge=0, le=1)
    whitening_choices: tuple[float, ...] = Field(default=(1.0, 0.5), min_length=1)
    steps: int | None = Field(default=None, ge=0)
    projection: ProjectionConfig = ProjectionConfig()
    max_names: int = Field(default=24, ge=0)
    history_power: float = Field(default=0.5, ge=0, le=1)
    objective: Objective = Objective()


class SemanticAgent:
    """Cosine of whitened or projected sentence vectors of item texts and entity names.

    Whitening as in Su et al. 2021, "Whitening Sentence Representations", in part or in full. The
    projection is learned as in two-tower retrieval (Yi et al. 2019, "Sampling-Bias-Corrected Neural
    Modeling"), with these differences: both towers are one linear map of frozen vectors, a user
    is the sum of a history, all items are in the softmax, and popularity is not corrected for but
    predicted from the text, so that cold items have a prior as well. The number of steps is chosen
    on held-out items.

    An item without text gets the zero vector: its similarity to all items is 0.
    """

    name: ClassVar[str] = "semantic"
    Config: ClassVar[type[SemanticConfig]] = SemanticConfig

    def __init__(self, config: SemanticConfig | None = None) -> None:
        self.config = config or SemanticConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Encode the texts, and whiten or project the vectors; see `Agent.fit`."""
        directions = self._directions(context)
        held_out = context.held_out(self.config.objective)
        projected = self._projected(directions, context)
        if projected is not None and (self.config.steps or held_out is None):
            return projected
        config = self.config
        sizes = _among(config.embedding_dim, config.embedding_dim_choices, held_out)
        powers = _among(config.whitening, config.whitening_choices, held_out)
        whitened = [self._whitened(directions, *both) for both in product(sizes, powers)]
        kernels = whitened if projected is None else [*whitened, projected]
        if held_out is None or len(kernels) == 1:
            return kernels[0]
        return max(kernels, key=lambda kernel: held_out.measure(kernel.scores))

    def _directions(self, context: FitContext) -> Directions:
        texts = context.train.described_items(self.config.max_names)
        rows = np.flatnonzero([bool(text) for text in texts])
        if len(rows) < 2 or context.encode is None:
            raise NothingToLearnError("the semantic agent needs texts or names of entities")
        try:
            encoded = context.encode([texts[row] for row in rows])
        except ModelError as error:
            raise NothingToLearnError(f"the semantic agent has no text encoder ({error})") from None
        return Directions(encoded, rows, len(texts))

    def _whitened(self, directions: Directions, size: int, power: float) -> Kernel:
        vectors = directions.project(size, power)
        return Kernel(
            self.name,
            history_factors=vectors,
            item_factors=vectors,
            history_power=self.config.history_power,
            chosen={"embedding_dim": size, "whitening": power, "steps": 0},
            reads={"factors": ("texts",)},
            inductive=self._formula(directions, size, power),
        )

    def _formula(
        self,
        directions: Directions,
        size: int | None,
        power: float,
        found: Projected | None = None,
    ) -> TextFormula:
        return TextFormula(
            mean=directions.mean.astype(np.float32),
            directions=directions.matrix(size, power).astype(np.float32),
            map=None if found is None else found.map,
            taste=None if found is None else found.taste,
            tau=1.0 if found is None else self.config.projection.tau,
            max_names=self.config.max_names,
        )

    def _projected(self, directions: Directions, context: FitContext) -> Kernel | None:
        """Return the kernel of the learned projection, or None where it gains nothing."""
        config = self.config
        if config.steps == 0 or not len(context.train.interactions):
            return None
        found = learn_projection(
            directions.project(None, config.projection.whitening),
            context.train.matrix(),
            config.projection,
            history_power=config.history_power,
            steps=config.steps,
            objective=config.objective,
            seed=context.seed,
            device=context.device,
            progress=context.progress,
            files=context.files(config),
        )
        if not found.steps:
            return None
        return Kernel(
            self.name,
            history_factors=np.asarray(found.vectors / config.projection.tau, dtype=np.float32),
            item_factors=found.vectors,
            prior=found.prior,
            history_power=config.history_power,
            chosen={"steps": found.steps},
            reads={"factors": ("texts", "interactions"), "prior": ("texts", "interactions")},
            inductive=self._formula(directions, None, config.projection.whitening, found),
        )


def _among(given: T | None, choices: tuple[T, ...], held_out: Validation | None) -> tuple[T, ...]:
    """Return the candidate values: the middle one where there is no validation part."""
    if given is not None:
        return (given,)
    return choices if held_out is not None else (choices[len(choices) // 2],)
