"""What a knowledge path is: relations that tie a history item to a recommended item, one by one."""

from __future__ import annotations

from kgrec.config import Record
from kgrec.schema import NodeKind


class PathNode(Record):
    """An item or an entity on a path, with the label that its domain gives it."""

    kind: NodeKind
    id: str
    name: str
    type: str


class PathStep(Record):
    """One relation of a path, walked from the history towards the recommended item.

    Attributes:
        node: where the step arrives.
        forward: whether the relation leads the way that the path goes.
        meaning: the sentence of the relation, with `{item}` and `{entity}`, or with `{head}` and
            `{tail}`.
        source, evidence: its origin, and the words that state it; empty where unknown.
    """

    node: PathNode
    relation: str
    forward: bool
    confidence: float
    meaning: str
    source: str = ""
    evidence: str = ""


class PathFact(Record):
    """One relation of an item, as it was found.

    Attributes:
        entity_id, entity, entity_type: the other end; on a path over an item–item link an item.
        meaning: the sentence of the relation, with `{item}` and `{entity}` in it.
        source, evidence: its origin, and the words that state it; empty where unknown.
    """

    item_id: str
    title: str
    relation: str
    entity_id: str
    entity: str
    entity_type: str
    confidence: float
    meaning: str
    source: str = ""
    evidence: str = ""


class KnowledgePath(Record):
    """A chain of relations between a history item and a recommended item.

    Attributes:
        history, item: the relation at the history item, and at the recommended item.
        steps: all relations from the history item to the recommended item.
        degree: how many relations the commonest node between the two has.
        weight: log(items / degree), times all confidences, times `decay` for each hop beyond two.
    """

    history: PathFact
    item: PathFact
    degree: int
    weight: float
    steps: tuple[PathStep, ...] = ()

    @property
    def hops(self) -> int:
        """The number of relations."""
        return len(self.steps) or 2

    @property
    def meeting(self) -> bool:
        """Whether the path is two facts that meet in one entity."""
        return self.hops == 2 and not (self.steps and self.steps[0].node.kind == "item")
