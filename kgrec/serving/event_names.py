"""Names of events in the rows of a request: read as the tables of interactions were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from kgrec.data.cells.values import CellError
from kgrec.data.guesses import event_of, known_events
from kgrec.data.sources import EventKind
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema

_RUNS = 100


class EventNames:
    """What the names of events mean.

    `kinds` of the sources that the graph was loaded from count, the latest of a name first; then
    the usual names. The graph is read when the first row has a name that is no kind.
    """

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._kinds = load_schema().core.interactions

    def read(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row whose `kind` is a kind; the weight of an event is its value without one.

        Raises:
            CellError: the event is unknown, or left out by the source that names it.
        """
        name = row.get("kind")
        if not isinstance(name, str) or name in self._kinds:
            return row
        event = event_of(name, self._known)
        if event is None:
            own = sorted(self._given)
            also = f"; events of the tables are {', '.join(own)}" if own else ""
            raise CellError(f"kind: is none of {', '.join(self._kinds)}{also}", name)
        if not event.kind:
            raise CellError("kind: rows of this event are left out by `kinds` of its source", name)
        weighed = {"value": event.weight} if row.get("value") is None and event.weight != 1 else {}
        return {**row, "kind": event.kind, **weighed}

    @cached_property
    def _known(self) -> dict[str, EventKind]:
        return known_events(self._kinds, self._given)

    @cached_property
    def _given(self) -> dict[str, EventKind]:
        """The events that the sources of the graph name, those of later loads over earlier."""
        found: dict[str, EventKind] = {}
        for row in reversed(self._store.read("serving/event_names", limit=_RUNS)):
            events = json.loads(row["summary"]).get("events", {})
            found |= {name: EventKind.model_validate(event) for name, event in events.items()}
        return found
