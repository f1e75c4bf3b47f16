"""What has changed in a history since a list was made."""

from __future__ import annotations

from collections.abc import Sequence

from kgrec.explain.records import Change
from kgrec.retrieval.history import Event, History
from kgrec.retrieval.reasons import did
from kgrec.retrieval.request_id import RequestId

_NAMED = 3
"""So many interactions that came later are named one by one."""


def history_changes(
    history: History, later: Sequence[Event], token: RequestId
) -> tuple[Change, ...]:
    """Say what the user did since a list was made, and whether what was before is the same."""
    found = []
    if later:
        named = [_did(event) for event in reversed(later[-_NAMED:])]
        more = len(later) - len(named)
        words = ", ".join([*named, *([f"{more} more"] if more else [])])
        found.append(f"since then {words}; the explanation leaves that out")
    if history.fingerprint != token.history:
        found.append(
            f"the history before it is another: {token.length} items then, "
            f"{len(history.seen)} of that time now, so the scores may differ"
        )
    return tuple(Change(what="history", detail=detail) for detail in found)


def _did(event: Event) -> str:
    return did(event) if event.kind else f"{event.title} was added"
