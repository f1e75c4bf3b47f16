"""Relations of paths as records, kept, since lists name the same facts again and again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property

from kgrec.retrieval.knowledge_path import PathFact, PathNode, PathStep

_MOST = 10_000
"""So many are kept: some 20 MB where all of them begin and end paths."""


class WalkedStep:
    """One relation, walked from a node to another.

    Attributes:
        start: where it begins.
        step: the relation as a step of a path.
    """

    def __init__(self, start: PathNode, step: PathStep) -> None:
        self.start = start
        self.step = step

    @cached_property
    def first(self) -> PathFact:
        """The relation as that of the item that it begins at."""
        return _fact(self.start, self.step.node, self.step, outgoing=self.step.forward)

    @cached_property
    def last(self) -> PathFact:
        """The relation as that of the item that it ends at."""
        return _fact(self.step.node, self.start, self.step, outgoing=not self.step.forward)


class WalkedSteps:
    """Keeps walked relations by whatever they depend on; safe to share between threads."""

    def __init__(self) -> None:
        self._known: dict[Hashable, WalkedStep] = {}

    def of(self, key: Hashable, make: Callable[[], WalkedStep]) -> WalkedStep:
        """Return the relation of a key, made where it is not known."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST:
                self._known = {}
            found = self._known[key] = make()
        return found


def _fact(item: PathNode, other: PathNode, step: PathStep, *, outgoing: bool) -> PathFact:
    """Return a step at one end of a path as a relation of that item."""
    head, tail = ("{item}", "{entity}") if outgoing else ("{entity}", "{item}")
    return PathFact(
        item_id=item.id,
        title=item.name,
        relation=step.relation,
        entity_id=other.id,
        entity=other.name,
        entity_type=other.type,
        confidence=step.confidence,
        meaning=step.meaning.replace("{head}", head).replace("{tail}", tail),
        source=step.source,
        evidence=step.evidence,
    )
