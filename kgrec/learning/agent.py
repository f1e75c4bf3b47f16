"""The interface of agents: a name, a frozen config, and a fit that returns a kernel.

An agent also gives the search space of its settings, by dotted names.
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from kgrec.config import FrozenModel
from kgrec.data.dataset import Dataset, FloatArray, IntArray, Interactions
from kgrec.errors import ModelError
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.progress import SILENT, Progress
from kgrec.training.logs import TrainingFiles
from kgrec.training.workers import ALONE, Workers

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData


Number = float | int
PartT = TypeVar("PartT")


@dataclass(frozen=True)
class Choices:
    """One of some values."""

    values: Sequence[Number]


@dataclass(frozen=True)
class Range:
    """Any number from `low` to `high`, sampled uniformly, or log-uniformly where `log`."""

    low: float
    high: float
    log: bool = False


Space = Choices | Range


def setting_of(config: Mapping[str, Any], name: str) -> Any:
    """Return a setting by its name, in which dots lead into parts; None where there is none."""
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def with_settings(config: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with some settings changed, by names as of `setting_of`."""
    whole = dict(config)
    for name, value in changed.items():
        first, _, rest = name.partition(".")
        whole[first] = with_settings(whole.get(first, {}), {rest: value}) if rest else value
    return whole


Encode = Callable[[Sequence[str]], FloatArray]
"""Texts to unit vectors, float32 [N, D]."""


class NothingToLearnError(ModelError):
    """The data holds nothing that this agent learns from; a team is fitted without it."""


class AgentConfig(FrozenModel):
    """Settings of an agent; a setting of None is chosen on the validation part.

    Attributes:
        searched: search space: the settings that matter most, in order of importance, and the
            values that they may take.
        reads_texts: whether the kernel depends on the text encoder.
    """

    searched: ClassVar[Mapping[str, Space]] = {}
    reads_texts: ClassVar[bool] = False


@dataclass(frozen=True)
class FitContext:
    """The data and resources that an agent is fitted with.

    Attributes:
        train: catalogue, facts, texts and the interactions to learn from.
        validation: the validation part, on which settings are chosen; without it an agent uses
            its defaults.
        given: histories, beside `train`, of users without interactions in the training data.
        requested: query time of the validation part for each user, milliseconds since 1970,
            int64 [U], 0 where unknown; None where it is unknown for all users.
        seed: seed of all random generators.
        device: "cpu" or "cuda".
        encode: the text encoder, or None where there is none.
        workers: the processes that train together; agents with gradients share their batches
            among them, others, and agents with a joint loss, are fitted by the first.
        logs: folder for the log of every training, or None.
        checkpoints: folder for the checkpoints of every training, from which a killed one
            resumes; or None.
        encoder: returns an identifier of the encoder's content; called after the first texts are
            encoded, since the model may have to be fetched first.
        unwanted: held-out interactions, beside `validation`, that reject their item.
        graph: `train` as a `HeteroData` that was read from an export, whose text vectors are used
            as they are; None builds it from `train`.
        validated: the metric on the validation part, among all items, of agents that were fitted
            in this context, by name.
        until: when trainings end, however far they are, by `time.perf_counter`.
    """

    train: Dataset
    validation: Interactions | None = None
    seed: int = 2024
    device: str = "cpu"
    progress: Progress = SILENT
    encode: Encode | None = None
    given: Interactions = field(default_factory=Interactions.empty)
    workers: Workers = ALONE
    logs: Path | None = None
    checkpoints: Path | None = None
    requested: IntArray | None = None
    encoder: Callable[[], str] = str
    graph: HeteroData | None = None
    unwanted: Interactions = field(default_factory=Interactions.empty)
    validated: dict[str, float] = field(default_factory=dict)
    until: float = math.inf

    @cached_property
    def histories(self) -> Histories:
        """The histories of all users at the query time of the validation part."""
        known = self.train.interactions.concat(self.given)
        shape = self.train.num_users, self.train.num_items
        return Histories.of(known, *shape, now=self.requested, rejected=self.train.rejected)

    @cached_property
    def hetero(self) -> HeteroData:
        """`train` as a `HeteroData`, from which graph agents are trained; built once.

        Nodes have text vectors only where `graph` has them; see `with_texts`.
        """
        # Imported here, so that agents that do not learn from graphs need no torch-geometric.
        from kgrec.export.pyg import set_interactions, to_hetero

        if self.graph is None:
            return to_hetero(self.train)
        data = copy.copy(self.graph)
        set_interactions(data, self.train.interactions)
        return data

    def with_texts(self, max_names: int, entities: IntArray) -> HeteroData:
        """Return `hetero` with text vectors `x` of items and entities, where there is an encoder.

        Args:
            max_names: maximum number of entity names that are added to an item's text.
            entities: rows of the entities that are encoded, int64 [N]; others have zero vectors.

        Raises:
            ModelError: the encoder cannot be loaded.
        """
        from kgrec.export.pyg import add_text_vectors

        data = copy.copy(self.hetero)
        if self.encode is not None and "x" not in data["item"]:
            add_text_vectors(data, self.train, self.encode, max_names, entities)
        return data

    def held_out(self, objective: Objective) -> Validation | None:
        """Return the validation queries, or None where no user has a new item in that part."""
        if self.validation is None or not len(self.validation):
            return None
        found = Validation(self.histories, self.validation, objective, seed=self.seed)
        return found if len(found) else None

    def refit(self) -> FitContext:
        """Return the context for a fit on training and validation part."""
        if self.validation is None:
            return self
        known = self.train.interactions.concat(self.given, self.validation)
        return replace(
            self,
            train=self.train.with_interactions(known),
            validation=None,
            given=Interactions.empty(),
            requested=None,
            until=math.inf,
            logs=self.logs and self.logs / "refit",
            checkpoints=self.checkpoints and self.checkpoints / "refit",
        )

    def allot(self, left: int) -> FitContext:
        """Return the context of the next of so many parts of the work that share its time."""
        if self.until == math.inf:
            return self
        now = time.perf_counter()
        return replace(self, until=now + max(0.0, self.until - now) / max(left, 1))

    def allotted(self, parts: Sequence[PartT]) -> Iterator[tuple[PartT, FitContext]]:
        """Yield the parts one after the other, each with the context in which it is done."""
        for left, part in zip(range(len(parts), 0, -1), parts, strict=True):
            yield part, self.allot(left)

    def time_is_up(self) -> bool:
        """Return whether trainings are to end; all processes get the same answer."""
        if self.until == math.inf:
            return False
        return self.workers.once(lambda: time.perf_counter() >= self.until)

    def files(self, *settings: FrozenModel) -> TrainingFiles:
        """Return the files of a training with these settings: its log and its checkpoint."""
        if self.checkpoints is None:
            return TrainingFiles(self.logs, first=self.workers.first)
        return TrainingFiles(
            self.logs, self.checkpoints, self._fingerprint(settings), first=self.workers.first
        )

    def _fingerprint(self, settings: Sequence[FrozenModel]) -> str:
        """Hash the settings and all data that a training may read."""
        train, facts, links = self.train, self.train.facts, self.train.links
        words = [str(self.seed), *(part.model_dump_json() for part in settings)]
        if any(isinstance(part, AgentConfig) and part.reads_texts for part in settings):
            words.append(self.encoder())
        words += [*facts.relations, *train.item_texts, *train.entity_names]
        words += [part for kind in links.types for part in kind]
        digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass"))
        for known in (train.interactions, self.given, self.validation or Interactions.empty()):
            for column in (known.user, known.item, known.value, known.at, known.kind):
                digest.update(column.tobytes())
        if self.requested is not None:
            digest.update(self.requested.tobytes())
        for column in (facts.item, facts.relation, facts.entity, facts.confidence):
            digest.update(column.tobytes())
        for column in (links.head, links.relation, links.tail, links.confidence):
            digest.update(column.tobytes())
        return digest.hexdigest()


@runtime_checkable
class Averaging(Protocol):
    """An agent that learns with less chance once it is known to have a share in the team."""

    def averaged(self, kernel: Kernel, context: FitContext) -> Kernel:
        """Return the mean of a kernel of `fit` and others that were learned from other seeds.

        The settings are those that were chosen for the kernel. Returns it where there is nothing
        to average.
        """


class Agent(Protocol):
    """Learns one kernel. A new agent is one module and one line in `kgrec.learning.registry`.

    An agent whose class has `shares_batches = True` is fitted by all processes together.
    """

    name: ClassVar[str]

    @property
    def config(self) -> AgentConfig:
        """The settings."""

    def fit(self, context: FitContext) -> Kernel:
        """Learn a kernel; its `chosen` holds the settings that were chosen on the validation part.

        Raises:
            NothingToLearnError: the data lacks what this agent learns from.
        """
