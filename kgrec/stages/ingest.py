"""Ingest: one table into the graph.

Every batch is one transaction, and only what differs from the graph is written. So the same file
twice changes nothing, a newer file adds and updates, and a load that was killed is completed by
running it again. A run is named by what it loads: the same file and columns are the same run.
"""

from __future__ import annotations

import gc
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.data.columns import plan_columns
from kgrec.data.guess_file import STEP
from kgrec.data.guesses import snake
from kgrec.data.origins.opening import open_origin
from kgrec.data.rejects import Rejects
from kgrec.data.sources import EventKind, Kind, Source
from kgrec.data.tables import fingerprint
from kgrec.errors import ConfigError, DataError
from kgrec.graph.setup import ensure_schema, release_properties
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import Domain, load_schema
from kgrec.stages.loading.facts import Tally
from kgrec.stages.loading.reading import PreparedSource
from kgrec.stages.loading.table import TableLoad
from kgrec.stages.retiring.complete import load_complete
from kgrec.stages.retiring.deleting import Deletion

_MOST_REASONS = 10
_ALLOCATIONS = 100_000
"""Of objects, from one search for garbage to the next."""
_LATER = (
    "relation",
    "entity_type",
    "skip",
    "nulls",
    "at_format",
    "kinds",
    "namespace",
    "whole_ids",
    "complete",
    "delete",
    "query",
    "max_growth",
    "triples",
    "joins",
)


class IngestSummary(FrozenModel):
    """What one ingest did; the counts are those of `Tally`.

    Every row is created, updated, unchanged, repeated or rejected, once.

    Attributes:
        rejected: rows that were set aside.
        cells_rejected: invalid cells that were left out of rows that were kept.
        nulls: cells that held a word for nothing, such as N/A.
        rejects: the file with these rows and cells; None when there are none.
        reasons: the most frequent reasons, with how often they occurred.
        events: what the source calls events, and the kinds that they are; the API reads rows so.
    """

    run_id: str
    source: str
    kind: Kind
    file: str
    rows: int
    created: int
    updated: int
    unchanged: int
    repeated: int
    users: int
    items: int
    entities: int
    facts: int
    links: int
    withdrawn: int
    retired: int = 0
    rejected: int
    cells_rejected: int
    nulls: int = 0
    reasons: dict[str, int]
    rejects: str | None
    events: dict[str, EventKind] = Field(default_factory=dict)
    seconds: float

    @property
    def mostly_rejected(self) -> bool:
        """Whether more than half of the rows were set aside."""
        return self.rejected * 2 > self.rows

    @property
    def changed(self) -> bool:
        """Whether anything in the graph has changed."""
        counts = (self.created, self.updated, self.users, self.items, self.entities)
        return any((*counts, self.facts, self.links, self.withdrawn, self.retired))


def prepare(
    source: Source, domain: str, *, cache: Path, progress: Progress = SILENT
) -> PreparedSource:
    """Find the table of a source and decide what its columns are; the graph is not touched.

    Args:
        domain: name of a domain, or path of a domain file.
        cache: folder for public data sets.

    Raises:
        ConfigError: the source names a column, relation or kind that there is not.
        DataError: the file is not a valid table, or a data set cannot be fetched.
    """
    schema = load_schema()
    known = schema.domain(domain)
    large = source.kind in ("interactions", "relations")
    _check_predicates(source, known)
    table = open_origin(source, known, cache=cache, progress=progress)
    table = table.surveyed(step=STEP if large else 1)
    return PreparedSource(source, known, table, plan_columns(table, source, known, schema.core))


def _check_predicates(source: Source, domain: Domain) -> None:
    """Check that what predicates are to become is there."""
    known = {"title", "description", *domain.facts, *domain.item_properties}
    for predicate, target in source.triples.predicates.items():
        if target not in known:
            raise ConfigError(
                f"domain {domain.name!r} has no such relation or property",
                value=f"{predicate} = {target}",
                remedy=f"Known: {', '.join(sorted(known))}.",
            )


def ingest(
    store: GraphStore, prepared: PreparedSource, *, home: Path, progress: Progress = SILENT
) -> IngestSummary:
    """Load one table into the graph.

    Args:
        home: rows that are set aside are written to `<home>/rejects/<run>.jsonl`.

    Raises:
        DataError: no row of the file can be used.
        RetirementError: a complete source no longer holds too much of what it held before.
        GraphError: the kinds below it.
    """
    begun = time.perf_counter()
    path = prepared.table.path
    found = fingerprint(path)
    run_id = _run_id(prepared, found.digest)
    ensure_schema(store)
    if prepared.source.kind == "catalog":
        release_properties(store, [prepared.domain])
    finished = _start(store, run_id)
    with Rejects(home / "rejects" / f"{run_id}.jsonl") as rejects, _few_collections():
        given = (store, prepared, run_id, rejects, found.lines, progress)
        load: TableLoad | Deletion
        if prepared.source.delete:
            load = Deletion(store, prepared, run_id, rejects)
            tally = load.run(progress)
        elif prepared.source.complete:
            tally, load = load_complete(*given)
        else:
            load = TableLoad(*given)
            tally = load.run()
    if tally.created + tally.updated + tally.unchanged + tally.retired == 0:
        raise _nothing_usable(prepared.table.shown, rejects)
    summary = _summary(
        prepared, run_id, tally, rejects, load.parser.nulls.total(), time.perf_counter() - begun
    )
    if summary.changed or not finished:
        _finish(store, summary)
    return summary


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for cycles of garbage less often: millions of records hold none, and make nearly half
    of the work of a load of items a search among them."""
    before = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _run_id(prepared: PreparedSource, digest: str) -> str:
    # What later versions added is left out where it is not given, so that runs keep their names.
    fields = type(prepared.source).model_fields
    unset = {
        name
        for name in _LATER
        if getattr(prepared.source, name) == fields[name].get_default(call_default_factory=True)
    }
    source = prepared.source.model_dump_json(exclude={"path", "address", "max_retired", *unset})
    options = [source, prepared.domain.name, digest]
    text = "\n".join([*options, str(prepared.plan.decisions)])
    name = snake(prepared.source.title) or prepared.source.kind
    return f"ingest-{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _start(store: GraphStore, run_id: str) -> bool:
    rows = store.write(
        "ingest/start_run", run_id=run_id, stage="ingest", started_at=datetime.now(UTC)
    )
    return bool(rows and rows[0]["finished"])


def _finish(store: GraphStore, summary: IngestSummary) -> None:
    store.write(
        "ingest/finish_run",
        run_id=summary.run_id,
        finished_at=datetime.now(UTC),
        summary=json.dumps(summary.model_dump(mode="json"), ensure_ascii=False),
    )


def _summary(
    prepared: PreparedSource,
    run_id: str,
    tally: Tally,
    rejects: Rejects,
    nulls: int,
    seconds: float,
) -> IngestSummary:
    return IngestSummary(
        run_id=run_id,
        source=prepared.source.title,
        kind=prepared.source.kind,
        file=prepared.table.shown,
        rejected=len(rejects) - rejects.cells,
        cells_rejected=rejects.cells,
        nulls=nulls,
        reasons=dict(rejects.reasons.most_common(_MOST_REASONS)),
        rejects=str(rejects.path) if len(rejects) else None,
        events=prepared.source.events,
        seconds=round(seconds, 3),
        **asdict(tally),
    )


def _nothing_usable(name: str, rejects: Rejects) -> DataError:
    if not len(rejects):
        return DataError("the file has no rows below the names of its columns", value=name)
    reason, count = rejects.reasons.most_common(1)[0]
    return DataError(
        "no row of the file can be used",
        value=name,
        remedy=f"{count} times: {reason}. Every row is in {rejects.path}.",
    )
