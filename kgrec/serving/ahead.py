"""Lists that are made before they are requested, while no request is under way.

A first list of a user costs several times what the same list costs a second later, and most lists
are requested by users who were active lately. So a process that has nothing to do makes theirs: of
users who requested one before, then of those who did something last. What is made is what a request
makes, kept in the same place, and found by all that it depends on (`kgrec.retrieval.recent`).
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import nullcontext
from typing import Annotated

from fastapi import Depends, Request

from kgrec.deadline import Deadline, within
from kgrec.errors import KGRecError
from kgrec.graph.store import GraphStore
from kgrec.retrieval.history import HOUR, current_time
from kgrec.retrieval.live import LiveModel
from kgrec.schema import load_schema
from kgrec.serving.limits import Activity
from kgrec.serving.service import Engine, Service

logger = logging.getLogger("kgrec.serving")

QUIET_S = 0.05
"""Seconds without a request after which lists are made ahead, by one process at a time."""
_IDLE_S = 1.0
"""Seconds without a request after which all processes make lists at once."""
MOST_INTERACTIONS = 2_000_000
"""In a graph of more interactions those who did something last are not looked for."""
_FULL = 0.9
"""Share of the memory for lists that those made ahead fill; the rest is for requests."""
_MOST_USERS = 10_000
_REST_S = 60.0
"""Seconds of rest after an error."""


class RequestingUsers:
    """The users whose lists were requested last; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: OrderedDict[str, None] = OrderedDict()

    def note(self, user_id: str) -> None:
        """Note that a user's list was requested."""
        with self._lock:
            self._users[user_id] = None
            self._users.move_to_end(user_id)
            if len(self._users) > _MOST_USERS:
                self._users.popitem(last=False)

    def forget(self, user_id: str) -> None:
        """Forget a user."""
        with self._lock:
            self._users.pop(user_id, None)

    def latest(self) -> list[str]:
        """Return them, the latest first."""
        with self._lock:
            return [*reversed(self._users)]


class ListsAhead:
    """Makes lists in a thread of its own while no request is under way.

    Args:
        service: whose engine makes them, once it is open.
        activity: of the requests.
        users: for how many users at most; 0 for none.
        time_limit_s: seconds that one list may take.

    Attributes:
        requesting: noted by the endpoints.
        on_made: called after each list.
    """

    def __init__(
        self, service: Service, activity: Activity, users: int, time_limit_s: float
    ) -> None:
        self.requesting = RequestingUsers()
        self.on_made: Callable[[], None] = lambda: None
        self._service, self._activity = service, activity
        self._users, self._time_limit_s = users, time_limit_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lists ahead", daemon=True)
        self._of: tuple[LiveModel, int] | None = None
        self._left: deque[str] = deque()

    def start(self) -> None:
        """Begin."""
        if self._users:
            self._thread.start()

    def stop(self) -> None:
        """End after the list that is being made."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        rest = QUIET_S
        while not self._stopping.wait(rest):
            needed = QUIET_S if self._activity.has_turn() else _IDLE_S
            left = needed - self._activity.quiet_s()
            if left > 0:
                rest = min(left, QUIET_S)
                continue
            try:
                with within(Deadline(self._time_limit_s)):
                    rest = 0.0 if self._make_one() else 1.0
            except KGRecError as error:
                logger.info("no lists are made ahead for a while: %s", error)
                rest = _REST_S

    def _make_one(self) -> bool:
        """Make the next list; return False where there is none to make until something changes."""
        with self._service.lease_opened() or nullcontext() as engine:
            live = None if engine is None else engine.recommender.live.latest()
            if engine is None or live is None:
                return False
            # Another model, or another hour, and what was kept answers nobody any more.
            current = live, current_time() // HOUR
            if self._of != current:
                self._left = deque(self._wanted(engine))
                self._of = current
            recent = engine.recommender.recent
            if not self._left or recent is None or recent.share >= _FULL:
                return False
            user = self._left.popleft()
            if engine.recommender.recommend(user).fallback == "unknown_user":
                self.requesting.forget(user)
            self.on_made()
            return True

    def _wanted(self, engine: Engine) -> list[str]:
        found = self.requesting.latest()
        if len(found) < self._users and _interactions(engine.store) <= MOST_INTERACTIONS:
            rows = engine.store.read("recommend/active_users", limit=self._users)
            found += [row["user_id"] for row in rows]
        return list(dict.fromkeys(found))[: self._users]


def _interactions(store: GraphStore) -> int:
    names = {"type": load_schema().relations.interacted}
    return int(store.read("admin/count_relations", names)[0]["count"])


async def _lists_of(request: Request) -> ListsAhead:
    found: ListsAhead = request.app.state.ahead
    return found


CurrentLists = Annotated[ListsAhead, Depends(_lists_of)]
"""The lists of the application, as a parameter of an endpoint."""
