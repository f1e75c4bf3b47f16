"""A visitor: somebody who is not in the graph, as the caller describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.graph.store import GraphStore
from kgrec.retrieval.context import MAX_EVENTS, Context, SessionEvent
from kgrec.retrieval.declared import NOTHING, Declared, declared_values
from kgrec.retrieval.history import Event, with_session
from kgrec.retrieval.live import LiveModel
from kgrec.retrieval.snapshot import Snapshot

_DISLIKE = "dislike"


class Visitor(FrozenModel):
    """What is known of a visitor.

    Attributes:
        history: ids of items that they chose, the newest first.
        dislikes: ids of items that they do not want: seen, and counted as the dislikes of a user.
        events: of the session, the newest first; they come before `history`.
        properties: declared properties by name, as those of the users that the model learned from.
        entities: ids of entities that they like.
    """

    history: tuple[str, ...] = ()
    dislikes: tuple[str, ...] = ()
    events: tuple[SessionEvent, ...] = Field(default=(), max_length=MAX_EVENTS)
    properties: Mapping[str, str | int | float] = Field(default_factory=dict)
    entities: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Visitor | Sequence[str]) -> Visitor:
        """Return a visitor as it is, and the ids of a history as one."""
        return given if isinstance(given, Visitor) else cls(history=tuple(given))

    @property
    def item_ids(self) -> list[str]:
        """The ids of all items that are named, each once."""
        events = (event.item_id for event in self.events)
        return list(dict.fromkeys([*events, *self.history, *self.dislikes]))

    def interactions(self, titles: Mapping[str, str], query_time: int) -> list[Event]:
        """Return what the visitor did, newest first; items without a title are left out.

        Args:
            titles: of the items that the graph has, by id.
            query_time: the time of an event that has none.
        """
        chosen = [Event(i, titles[i]) for i in dict.fromkeys(self.history) if i in titles]
        against = [Event(i, titles[i], _DISLIKE) for i in self.dislikes if i in titles]
        context = Context(time=query_time, events=self.events)
        return with_session([*against, *chosen], context, titles)

    def declared(
        self, store: GraphStore, live: LiveModel, snapshot: Snapshot | None = None
    ) -> Declared:
        """Return what the visitor declares, as far as a model knows it."""
        profile = live.team.profile
        if profile is None or not (self.properties or self.entities):
            return NOTHING
        if snapshot is not None:
            entities = snapshot.nodes["entity"]
            rows = {each: entities.row.get(each, -1) for each in self.entities}
            names = {each: entities.names[row] or each for each, row in rows.items() if row >= 0}
        else:
            found = store.read("recommend/entity_names", entities=list(self.entities))
            names = {row["entity_id"]: row["name"] for row in found}
        return declared_values(profile, self.properties, names)
