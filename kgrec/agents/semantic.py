"""The semantic agent: likeness of what is written about items, which new items have too."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kgrec.agents.base import AgentConfig, FitContext, NothingToLearnError
from kgrec.agents.kernel import Kernel
from kgrec.data.dataset import Dataset, FloatArray
from kgrec.errors import ModelError
from kgrec.evaluation.validation import Objective


class SemanticConfig(AgentConfig):
    """Settings of the semantic agent.

    Attributes:
        embedding_dim: principal directions kept; None chooses among `embedding_dim_choices`.
        whitening: 0 leaves the directions as long as they are, 1 makes them equally long.
        max_names: names of entities that are added to an item's text at most.
        history_power: p, how a history's length is divided out.
    """

    embedding_dim: int | None = Field(default=None, ge=1)
    embedding_dim_choices: tuple[int, ...] = Field(default=(64, 128, 256), min_length=1)
    whitening: float = Field(default=0.5, ge=0, le=1)
    max_names: int = Field(default=24, ge=0)
    history_power: float = Field(default=0.5, ge=0, le=1)
    objective: Objective = Objective()


class SemanticAgent:
    """Cosine of sentence vectors, centred and whitened (Su et al. 2021, "Whitening Sentence
    Representations"), of each item's text and the names of its entities.

    An item without a word gets the zero vector: it neither speaks nor is spoken for.
    """

    name: ClassVar[str] = "semantic"
    Config: ClassVar[type[SemanticConfig]] = SemanticConfig

    def __init__(self, config: SemanticConfig | None = None) -> None:
        self.config = config or SemanticConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Encode the texts and project them; see `Agent.fit`."""
        texts = item_texts(context.train, self.config.max_names)
        spoken = np.flatnonzero([bool(text) for text in texts])
        if len(spoken) < 2 or context.encode is None:
            raise NothingToLearnError("the semantic agent needs texts or names of entities")
        try:
            encoded = context.encode([texts[row] for row in spoken])
        except ModelError as error:
            raise NothingToLearnError(f"the semantic agent has no text encoder ({error})") from None
        directions = _Directions(encoded, spoken, len(texts))
        size = self._choose(directions, context)
        return self._kernel(directions, size)

    def _kernel(self, directions: _Directions, size: int) -> Kernel:
        vectors = directions.project(size, self.config.whitening)
        return Kernel(
            self.name,
            history_factors=vectors,
            item_factors=vectors,
            history_power=self.config.history_power,
            chosen={"embedding_dim": size},
        )

    def _choose(self, directions: _Directions, context: FitContext) -> int:
        config = self.config
        if config.embedding_dim is not None:
            return config.embedding_dim
        choices = config.embedding_dim_choices
        held_out = context.held_out(config.objective)
        if held_out is None or len(choices) == 1:
            return choices[len(choices) // 2]
        tried = {size: held_out.measure(self._kernel(directions, size).scores) for size in choices}
        return max(tried, key=lambda size: tried[size])


def item_texts(dataset: Dataset, max_names: int) -> list[str]:
    """Return the text of each item followed by the distinct names of its entities, [I]."""
    names: list[dict[str, None]] = [{} for _ in range(dataset.num_items)]
    if dataset.entity_names:
        for item, entity in zip(dataset.facts.item, dataset.facts.entity, strict=True):
            if dataset.entity_names[entity]:
                names[item][dataset.entity_names[entity]] = None
    texts = dataset.item_texts or ("",) * dataset.num_items
    return [
        ". ".join(
            [text.strip().rstrip(".")] * bool(text.strip()) + [", ".join(known)] * bool(known)
        )
        for text, known in ((t, list(n)[:max_names]) for t, n in zip(texts, names, strict=True))
    ]


class _Directions:
    """The principal directions of sentence vectors.

    Args:
        encoded: float32 [N, D] of the items in `spoken`.
        spoken: rows of the items that have a text, int64 [N].
        num_items: I.
    """

    def __init__(self, encoded: FloatArray, spoken: NDArray[np.intp], num_items: int) -> None:
        self._spoken, self._num_items = spoken, num_items
        self._centred = encoded.astype(np.float64) - encoded.mean(axis=0, dtype=np.float64)
        variance, directions = np.linalg.eigh(self._centred.T @ self._centred / len(encoded))
        order = np.argsort(-variance)
        self._variance, self._directions = variance[order], directions[:, order]

    def project(self, size: int, whitening: float) -> FloatArray:
        """Return unit vectors on the first `size` directions, float32 [I, min(size, D)]."""
        scale = np.maximum(self._variance[:size], 1e-9) ** (-whitening / 2)
        projected = self._centred @ (self._directions[:, :size] * scale)
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        projected = np.divide(projected, length, out=np.zeros_like(projected), where=length > 1e-9)
        vectors = np.zeros((self._num_items, projected.shape[1]), dtype=np.float32)
        vectors[self._spoken] = projected
        return vectors
