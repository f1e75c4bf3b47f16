"""The context of a query: what is known of the moment of asking beside the user's record.

What it changes is what some agent can use: the time (agents that read when things happened) and
the events of a session that is not in the graph yet. A field that no agent can use is refused,
not ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.errors import ConfigError

MAX_EVENTS = 500


class SessionEvent(FrozenModel):
    """Something that the user did and that the graph does not hold (yet).

    Attributes:
        item_id: of the item.
        kind: of the interaction, as in `core.toml`; empty for a plain sign of interest.
        value: such as a rating.
        at: milliseconds since 1970, UTC; the moment of asking when absent.
    """

    item_id: str
    kind: str = ""
    value: float = 1.0
    at: int | None = None


class Places(TypedDict):
    """Where a request comes from."""

    device: str
    scenario: str


class Context(FrozenModel):
    """What is known of the moment of asking.

    Attributes:
        time: the query time, milliseconds since 1970, UTC; now when
            absent.
        events: of the session, the newest first.
        device, scenario: as interactions name them; empty where unknown.
    """

    time: int | None = Field(default=None, ge=0)
    events: tuple[SessionEvent, ...] = Field(default=(), max_length=MAX_EVENTS)
    device: str = ""
    scenario: str = ""

    @property
    def places(self) -> Places:
        """Device and scenario, as knobs have them."""
        return {"device": self.device, "scenario": self.scenario}

    @classmethod
    def of(
        cls,
        fields: Mapping[str, Any],
        events: Sequence[SessionEvent] = (),
        known: Sequence[str] = (),
    ) -> Context:
        """Read the fields that a caller gives.

        Args:
            known: fields beside `time` that the model has learned, as `ContextPriors.fields`.

        Raises:
            ConfigError: no agent can use a field, or its value makes no sense.
        """
        unknown = sorted(fields.keys() - {"time", *known})
        if unknown:
            raise ConfigError(
                f"no agent of the model uses the context field {unknown[0]!r}",
                value=fields[unknown[0]],
                remedy="Give `time` (milliseconds since 1970), or leave the field out.",
            )
        time = fields.get("time")
        if time is not None and (isinstance(time, bool) or not isinstance(time, int) or time < 0):
            raise ConfigError(
                "the time of a context is milliseconds since 1970", value=time, remedy="An integer."
            )
        places = {name: str(value) for name, value in fields.items() if name != "time"}
        return cls(time=time, events=tuple(events), **places)
