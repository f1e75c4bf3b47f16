"""The spectral agent: graph filters over the items that users share, without training.

With X̃ = D_u^-a X D_i^-b, the normalised interactions, and X̃ᵀX̃ their item-item graph,

    S = (X̃ᵀX̃)^∘s  +  β · D_i^-½ V (1 − σ Λ) Vᵀ D_i^c

The first part keeps the strongest entries of each history item, to the power s entry by entry; the
second is an ideal low-pass filter over the leading singular vectors V of the symmetric X̃
(a = b = ½), blurred once and sharpened by σ. Both are sums over the history, as every kernel is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from kgrec.data.dataset import FloatArray
from kgrec.learning.agent import (
    AgentConfig,
    FitContext,
    NothingToLearnError,
    Number,
    Range,
    Space,
)
from kgrec.learning.knowledge_features import strongest_products
from kgrec.learning.linear.blocks import leading_eigenvectors
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.kernel import Kernel
from kgrec.progress import Task

_Share = Annotated[float, Field(ge=0, lt=1)]
_Power = Annotated[float, Field(ge=0, le=1)]


class SpectralConfig(AgentConfig):
    """Settings of the spectral agent; those of None are chosen, one after another.

    Attributes:
        power: s; below 1 an item that shares few users counts for more.
        user_power: a, by how much long histories count for less.
        item_power: b, by how much popular items count for less, in the first part.
        low_pass: share of the second part in the scores, by their spread; β follows from it.
        candidate_power: c, the popularity of the candidates in the second part; ½ in GF-CF.
        sharpen: σ.
        rank: number of singular vectors.
        row_size: number of entries of the first part that are kept of each history item.
        history_power: p, exponent of the normalisation by the length of a history.
    """

    searched: ClassVar[Mapping[str, Space]] = {
        "power": Range(0.2, 1.5),
        "user_power": Range(0.0, 1.0),
        "item_power": Range(0.0, 1.0),
        "low_pass": Range(0.0, 0.8),
    }

    power: float | None = Field(default=None, gt=0, le=3)
    power_choices: tuple[Annotated[float, Field(gt=0, le=3)], ...] = (0.5, 0.75, 1.0)
    user_power: float | None = Field(default=None, ge=0, le=1)
    user_power_choices: tuple[_Power, ...] = (0.5, 0.3, 0.7)
    item_power: float | None = Field(default=None, ge=0, le=1)
    item_power_choices: tuple[_Power, ...] = (0.4, 0.3, 0.5)
    low_pass: float | None = Field(default=None, ge=0, lt=1)
    low_pass_choices: tuple[_Share, ...] = (0.2, 0.0, 0.1, 0.4)
    candidate_power: float | None = Field(default=None, ge=0, le=1)
    candidate_power_choices: tuple[_Power, ...] = (0.5, 0.25)
    sharpen: float | None = Field(default=None, ge=0, le=1)
    sharpen_choices: tuple[_Power, ...] = (0.0, 0.5)
    rank: int = Field(default=256, ge=1)
    row_size: int = Field(default=500, ge=1)
    history_power: float = Field(default=0.5, ge=0, le=1)
    objective: Objective = Objective()


_NAME, _SAMPLE = "spectral", 500
_CHOSEN = ("power", "item_power", "user_power", "low_pass", "candidate_power", "sharpen")
"""In the order in which they are chosen."""


class SpectralAgent:
    """Low-pass filters of the item graph: GF-CF (Shen et al. 2021), BSPM (Choi et al. 2023).

    The powers of the entries and of the degrees are those of Turbo-CF (Park et al. 2024). What
    differs: the two parts are mixed by the spread of their scores, the parts of BSPM's blurring and
    sharpening that need differential equations are one polynomial of the leading eigenvalues, and
    everything is chosen on the validation part. An item without interactions has no part in it.
    """

    name: ClassVar[str] = _NAME
    Config: ClassVar[type[SpectralConfig]] = SpectralConfig

    def __init__(self, config: SpectralConfig | None = None) -> None:
        self.config = config or SpectralConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Multiply, decompose and choose; see `Agent.fit`."""
        if not len(context.train.interactions):
            raise NothingToLearnError("the spectral agent needs interactions")
        filters = GraphFilters(context, self.config)
        held_out = context.held_out(self.config.objective)
        with context.progress.task("spectral: choose") as task:
            chosen = self._chosen(filters, held_out, task)
        return filters.kernel(chosen)

    def _chosen(
        self, filters: GraphFilters, held_out: Validation | None, task: Task
    ) -> dict[str, Number]:
        chosen = {name: choices[0] for name, choices in self._choices()}
        if held_out is None:
            return chosen
        measured: dict[tuple[Number, ...], float] = {}

        def measure(settings: Mapping[str, Number]) -> float:
            key = tuple(settings.values())
            if key not in measured:
                measured[key] = held_out.measure(filters.kernel(settings).scores)
                task.advance()
                task.describe(f"validation {max(measured.values()):.4f}")
            return measured[key]

        for name, choices in self._choices():
            if name in ("candidate_power", "sharpen") and not chosen["low_pass"]:
                continue
            tried = [chosen | {name: value} for value in choices]
            chosen = max(tried, key=measure) if len(tried) > 1 else tried[0]
        return chosen

    def _choices(self) -> Iterator[tuple[str, tuple[float, ...]]]:
        for name in _CHOSEN:
            given = getattr(self.config, name)
            choices: tuple[float, ...] = getattr(self.config, f"{name}_choices")
            yield name, choices if given is None else (given,)


class GraphFilters:
    """The filters of one data set for any settings; what they share is computed once."""

    def __init__(self, context: FitContext, config: SpectralConfig) -> None:
        known = context.train.matrix()
        self._config, self._seed = config, context.seed
        self._binary = sp.csr_matrix(known.sign(), dtype=np.float32)
        lengths = np.diff(self._binary.indptr)
        held_by = np.bincount(self._binary.indices, minlength=known.shape[1])
        self._users, self._items = np.maximum(lengths, 1.0), np.maximum(held_by, 1.0)
        some = np.random.default_rng(context.seed).permutation(np.flatnonzero(lengths))
        self._sample = sp.csr_matrix(self._binary[np.sort(some[:_SAMPLE])])
        self._product = lru_cache(maxsize=4)(self._strongest)

    def kernel(self, settings: Mapping[str, Number]) -> Kernel:
        """Return the kernel of some settings, which are `chosen` of it."""
        rows = self._product(float(settings["user_power"]), float(settings["item_power"])).copy()
        rows.data **= np.float32(settings["power"])
        parts: dict[str, Any] = {"rows": rows}
        share = float(settings["low_pass"])
        if share:
            vectors, values = self._decomposed
            response = np.sqrt(np.maximum(1.0 - settings["sharpen"] * values, 0.0))
            filtered = vectors * response  # [I, D]
            history = filtered * self._items[:, None] ** -0.5
            item = filtered * self._items[:, None] ** settings["candidate_power"]
            spreads = [
                float(np.median(Kernel(_NAME, **part).spread(self._sample)))
                for part in (parts, {"history_factors": history, "item_factors": item})
            ]
            history = history * (share / (1 - share) * spreads[0] / max(spreads[1], 1e-12))
            parts["history_factors"] = history.astype(np.float32)
            parts["item_factors"] = item.astype(np.float32)
        power = self._config.history_power
        return Kernel(_NAME, history_power=power, chosen=dict(settings), **parts)

    def _normalised(self, user_power: float, item_power: float) -> sp.csr_matrix:
        by_user = sp.diags_array(self._users**-user_power)
        by_item = sp.diags_array(self._items**-item_power)
        return sp.csr_matrix(by_user @ self._binary @ by_item, dtype=np.float32)

    def _strongest(self, user_power: float, item_power: float) -> sp.csr_matrix:
        """Return the strongest entries of each row of X̃ᵀX̃, less its diagonal, CSR [I, I]."""
        normalised = self._normalised(user_power, item_power)
        columns = sp.csr_matrix(normalised.T)
        return strongest_products(columns, normalised, self._config.row_size)

    @cached_property
    def _decomposed(self) -> tuple[FloatArray, FloatArray]:
        """The leading right singular vectors of X̃, float32 [I, D], and their squared values."""
        half = self._normalised(0.5, 0.5)
        back = sp.csr_matrix(half.T)

        def multiply(basis: FloatArray) -> FloatArray:
            return np.asarray(back @ (half @ basis), dtype=np.float32)

        rank = min(self._config.rank, half.shape[1])
        vectors = leading_eigenvectors(multiply, half.shape[1], rank, self._seed, rounds=4)
        return vectors, np.square(np.linalg.norm(half @ vectors, axis=0))
