"""What a list was made from, restored from its token: for its explanation, or its next page."""

from __future__ import annotations

from collections.abc import Sequence

from kgrec.data.selection import Selection
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ConfigError
from kgrec.retrieval.history import Event, History, as_history
from kgrec.retrieval.request_id import RequestId, user_hash


def history_then(
    interactions: Sequence[Event],
    token: RequestId,
    items: Vocabulary,
    selection: Selection | None,
) -> tuple[History, list[Event]]:
    """Return the history of a list, and what the user has done since.

    Args:
        interactions: as they are now, newest first.
    """

    def history_of(events: Sequence[Event]) -> History:
        return as_history(events, items, selection, query_time=token.query_time)

    later = [event for event in interactions if event.at > token.query_time]
    before = [event for event in interactions if event.at <= token.query_time] if later else None
    history = history_of(interactions if before is None else before)
    if later and history.fingerprint != token.history:
        whole = history_of(interactions)  # clocks differ: it may have been there then
        if whole.fingerprint == token.history:
            return whole, []
    return history, later


def page_token(cursor: str, user_id: str | None) -> RequestId:
    """Read the cursor of a list for a user, or for a history without a name.

    Raises:
        ConfigError: it is broken, or of a list for somebody else.
    """
    token = RequestId.decode(cursor)
    mine = ("history", "") if user_id is None else ("user", user_hash(user_id))
    if (token.purpose, token.user) != mine:
        raise ConfigError(
            "the cursor is of a list for somebody else",
            value=user_id,
            remedy="Give `cursor` of the page before, for the same user or history.",
        )
    return token


def similar_token(cursor: str, item_id: str) -> RequestId:
    """Read the cursor of a list of items like one.

    Raises:
        ConfigError: it is broken, or of another list.
    """
    token = RequestId.decode(cursor)
    history = History(seen=(Event(item_id, ""),))
    if (token.purpose, token.history) != ("similar", history.fingerprint):
        raise ConfigError(
            "the cursor is of another list",
            value=item_id,
            remedy="Give `cursor` of the page before, for the same item.",
        )
    return token
