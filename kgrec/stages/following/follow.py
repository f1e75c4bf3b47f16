"""Follow a log of interactions: each batch is one transaction, which also notes how far it goes.

So a kill at any moment loses nothing that was acknowledged, and what is read again changes nothing:
an interaction is known by user, item, kind and time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.guesses import snake
from kgrec.data.interactions.columns import InteractionBatch
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.records import InteractionRecord
from kgrec.data.rejects import Rejects
from kgrec.data.sources import Source
from kgrec.errors import GraphTimeoutError, GraphUnavailableError
from kgrec.graph.redirects import redirects_of
from kgrec.graph.setup import ensure_schema
from kgrec.graph.store import GraphStore, Step
from kgrec.schema import Domain, load_schema
from kgrec.stages.following.lines import Lines, Log, Position
from kgrec.stages.following.rows import LogRows
from kgrec.stages.loading.facts import Tally
from kgrec.stages.loading.interactions import InteractionLoader

logger = logging.getLogger(__name__)

_LINES = 5_000
"""Of a batch, fewer than the loader has in one transaction."""
_WAIT_S = 1.0
_PAUSE_S = 2.0
_MOST_REASONS = 10


class FollowSummary(FrozenModel):
    """What was read of a log since the command began.

    Attributes:
        rows: lines that were read.
        created, updated, unchanged, repeated: interactions, as of a load.
        rejected: lines that were set aside, each in `rejects`.
        position: how far the log is acknowledged; None of a pipe.
        lost: positions in files that were not found again, so that lines may be missing.
    """

    run_id: str
    source: str
    log: str
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    users: int = 0
    items: int = 0
    rejected: int = 0
    reasons: dict[str, int] = Field(default_factory=dict)
    rejects: str | None = None
    position: Position | None = None
    lost: tuple[Position, ...] = ()
    seconds: float = 0.0

    @property
    def mostly_rejected(self) -> bool:
        """Whether more than half of the lines were set aside."""
        return self.rejected * 2 > self.rows


class Follower:
    """Writes the interactions of a log to the graph.

    Args:
        source: of kind `interactions`.
        name: of the log, such as its path.
        home: lines that are set aside are written below `<home>/rejects`.
    """

    def __init__(
        self, store: GraphStore, source: Source, domain: str, name: str, *, home: Path
    ) -> None:
        self.store, self.source, self.name = store, source, name
        self.domain: Domain = load_schema().domain(domain)
        key = hashlib.sha256(f"{name}\n{self.domain.name}".encode()).hexdigest()[:12]
        self.run_id = f"follow-{snake(source.title) or 'log'}-{key}"
        self._started = datetime.now(UTC)
        stamp = f"{self._started:%Y%m%d%H%M%S%f}"
        self._rejects = home / "rejects" / f"{self.run_id}-{stamp}.jsonl"
        self._tally = Tally()
        self._position: Position | None = None
        self._lost: list[Position] = []

    def position(self) -> Position | None:
        """Return how far the log was acknowledged, None where it never was."""
        for row in self.store.read("ingest/run_summary", run_id=self.run_id):
            found = json.loads(row["summary"]).get("position")
            return None if found is None else Position.model_validate(found)
        return None

    def run(
        self,
        log: Log,
        *,
        stop: Callable[[], bool],
        on_batch: Callable[[FollowSummary], None] = lambda _: None,
    ) -> FollowSummary:
        """Read until the log ends or it is to stop; what was read by then is acknowledged.

        Args:
            stop: called between batches, at least once a second.
            on_batch: called after each batch is committed.

        Raises:
            DataError: the log does not have the columns that interactions must have.
            GraphError: the graph refuses a statement; one that does not answer is waited for.
        """
        ensure_schema(self.store)
        self.store.write(
            "ingest/start_run", run_id=self.run_id, stage="ingest", started_at=self._started
        )
        rows = LogRows(self.source, self.domain, log, self.name)
        with Rejects(self._rejects) as rejects:
            self._look_for_losses(log)
            while not stop():
                lines = log.read(_LINES, _WAIT_S)
                self._look_for_losses(log)
                if lines.lines:
                    self._batch(lines, rows, rejects, stop)
                    on_batch(self.summary(rejects, lines.after))
                if lines.ended:
                    break
        return self.summary(rejects, None)

    def summary(self, rejects: Rejects, position: Position | None) -> FollowSummary:
        """Return what was done so far."""
        counts = asdict(self._tally)
        names = ("rows", "created", "updated", "unchanged", "repeated", "users", "items")
        return FollowSummary(
            run_id=self.run_id,
            source=self.source.title,
            log=self.name,
            rejected=len(rejects),
            reasons=dict(rejects.reasons.most_common(_MOST_REASONS)),
            rejects=str(rejects.path) if len(rejects) else None,
            position=position or self._position,
            lost=tuple(self._lost),
            seconds=round((datetime.now(UTC) - self._started).total_seconds(), 3),
            **{name: counts[name] for name in names},
        )

    def _batch(
        self, lines: Lines, rows: LogRows, rejects: Rejects, stop: Callable[[], bool]
    ) -> None:
        refused: list[tuple[int, object, str]] = []

        def set_aside(line: int, value: object, reason: str) -> None:
            refused.append((line, value, reason))

        given = rows.read(lines, set_aside)
        of_lines = len(refused)
        while True:
            del refused[of_lines:]
            try:
                tally = self._write(given, lines, set_aside)
                break
            except (GraphUnavailableError, GraphTimeoutError) as error:
                if stop():
                    raise
                logger.warning("the graph does not answer, and is waited for: %s", error)
                time.sleep(_PAUSE_S)
        tally.rows = len(lines.lines)
        self._tally.add(tally)
        self._position = lines.after
        for row in refused:
            rejects.add(self.name, *row)
        rejects.flush()

    def _write(
        self,
        records: Sequence[tuple[int, InteractionRecord]],
        lines: Lines,
        refuse: Callable[[int, object, str], None],
    ) -> Tally:
        label, note = self.domain.item_label, self._note(lines.after)
        loader = InteractionLoader(
            self.store, label, self.source.create_items, refuse, also=(note,)
        )
        tally = Tally()
        with InteractionSpool(redirects_of(self.store).items) as spool:
            spool.add(InteractionBatch.of(records))
            tally.repeated = spool.received - len(spool)
            for part in loader.write(spool):
                tally.add(part)
        if not records:
            self.store.write_all([note])
        return tally

    def _note(self, position: Position | None) -> Step:
        events = {name: one.model_dump() for name, one in self.source.events.items()}
        at = None if position is None else position.model_dump()
        summary: dict[str, Any] = {"log": self.name, "position": at, "events": events}
        values = {"run_id": self.run_id, "finished_at": datetime.now(UTC)}
        return ("ingest/finish_run", {}, {**values, "summary": json.dumps(summary)})

    def _look_for_losses(self, log: Log) -> None:
        lost = getattr(log, "lost", None)
        if lost is not None and lost not in self._lost:
            self._lost.append(lost)
            logger.warning(
                "%s was read to byte %d of a file that is gone; lines behind may be missing",
                self.name,
                lost.offset,
            )
