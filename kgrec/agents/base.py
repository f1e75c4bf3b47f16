"""What every agent is: a name, a frozen config, and a fit that returns a kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from kgrec.agents.kernel import Kernel
from kgrec.config import FrozenModel
from kgrec.data.dataset import Dataset, FloatArray, Interactions
from kgrec.errors import ModelError
from kgrec.progress import SILENT, Progress

Encode = Callable[[Sequence[str]], FloatArray]
"""Texts to unit vectors, float32 [N, D]."""


class NothingToLearnError(ModelError):
    """The data has nothing that this agent learns from; a team goes on without it."""


class AgentConfig(FrozenModel):
    """Settings of an agent; one left at None is chosen on the validation part."""


@dataclass(frozen=True)
class FitContext:
    """What an agent may use to learn.

    Attributes:
        train: catalogue, facts, texts and the interactions to learn from.
        validation: later interactions of the same users, to choose settings on; without them an
            agent takes the settings it knows to be sound.
        seed: fixes every random draw.
        device: "cpu" or "cuda".
        encode: the text encoder, or None where there is none.
    """

    train: Dataset
    validation: Interactions | None = None
    seed: int = 2024
    device: str = "cpu"
    progress: Progress = SILENT
    encode: Encode | None = None

    def refit(self) -> FitContext:
        """Return the context in which the validation part is learned from as well."""
        if self.validation is None:
            return self
        both = self.train.interactions.concat(self.validation)
        return replace(self, train=self.train.with_interactions(both), validation=None)


class Agent(Protocol):
    """Learns one kernel. A new agent is one module and one line in `kgrec.agents.registry`."""

    name: ClassVar[str]

    @property
    def config(self) -> AgentConfig:
        """The settings."""

    def fit(self, context: FitContext) -> Kernel:
        """Learn a kernel; its `chosen` names the settings that validation decided.

        Raises:
            NothingToLearnError: the data lacks what this agent learns from.
        """
