"""What is found of users, their interactions, sources of facts, and what is left over."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterator

from kgrec.schema import load_schema
from kgrec.stages.graph_report.findings import Finding
from kgrec.stages.graph_report.reading import EXAMPLES, GraphReading

OLDEST = 1980
_BUSY = 1_000
_BUSY_TIMES = 30
"""A user with so many times the interactions of the middle one, and no fewer than a thousand."""
_UNSURE = 5
"""Tenths of confidence below which a fact is unsure."""


def of_activity(reading: GraphReading) -> Iterator[Finding]:
    """Yield what is found of users, interactions, sources and leftovers."""
    yield from _interactions(reading)
    yield from _users(reading)
    yield from _facts(reading)
    yield from _leftovers(reading)


def _interactions(reading: GraphReading) -> Iterator[Finding]:
    known = load_schema().core.interactions
    remedy = "Load the table again with the form of its dates: kgrec ingest interactions FILE "
    remedy += "--at-format FORMAT --dry-run shows what they become."
    early: Counter[str] = Counter()
    undated = 0
    for (kind, month), number in reading.interactions.items():
        undated += number if month is None else 0
        if month is not None and month < OLDEST * 12:
            early[kind] += number
    for kind, number in sorted(reading.future.items()):
        what = f"{number:,} interactions of the kind {kind!r} are in the future."
        yield _times("interactions-in-the-future", number, what, remedy)
    for kind, number in sorted(early.items()):
        what = f"{number:,} interactions of the kind {kind!r} are from before {OLDEST}."
        yield _times("interactions-before-1980", number, what, remedy)
    strange = {kind for kind, _ in reading.interactions} - known.keys()
    for kind in sorted(strange):
        number = sum(n for (name, _), n in reading.interactions.items() if name == kind)
        yield _times(
            "unknown-kind",
            number,
            f"{number:,} interactions are of the kind {kind!r}, which counts for nothing.",
            f"Name the kind: kgrec ingest interactions FILE --kind {shlex.quote(kind)}=view.",
        )
    total = sum(reading.interactions.values())
    if undated:
        yield Finding(
            code="interactions-without-time",
            severity="note",
            count=undated,
            what=f"{undated:,} of {total:,} interactions have no time: order and season are "
            "unknown.",
            remedy="Name the column: kgrec ingest interactions FILE --column at=COLUMN.",
        )


def _times(code: str, number: int, what: str, remedy: str) -> Finding:
    return Finding(code=code, severity="warning", count=number, what=what, remedy=remedy)


def _users(reading: GraphReading) -> Iterator[Finding]:
    degrees = reading.degrees["interactions of a user"]
    active = Counter({n: users for n, users in degrees.items() if n})
    middle = _middle(active)
    limit = max(_BUSY, _BUSY_TIMES * middle)
    busy = sorted((one for one in reading.users if one[0] >= limit), reverse=True)
    if busy:
        user = shlex.quote(busy[0][1])
        yield Finding(
            code="busy-users",
            severity="warning",
            count=sum(users for n, users in degrees.items() if n >= limit),
            what=f"Users have {limit:,} interactions or more, where the middle one has {middle:,}: "
            "programs or shared accounts, perhaps.",
            examples=tuple(f"{user} ({number:,})" for number, user in busy[:EXAMPLES]),
            remedy=f"Look: kgrec user export {user}; if it is nobody: kgrec user erase {user}.",
        )
    if degrees[0]:
        yield Finding(
            code="users-without-interactions",
            severity="note",
            count=degrees[0],
            what=f"{degrees[0]:,} users have no interactions; they get what they declare, or what "
            "is popular.",
            remedy="Nothing need be done; if they should have some, the ids of the tables may "
            "differ: kgrec ingest interactions FILE --dry-run.",
        )


def _middle(counts: Counter[int]) -> int:
    left = counts.total() / 2
    for number in sorted(counts):
        left -= counts[number]
        if left <= 0:
            return number
    return 0


def _facts(reading: GraphReading) -> Iterator[Finding]:
    unsure: Counter[tuple[str, str]] = Counter()
    for (_, source, extractor, tenths), number in reading.facts.items():
        if tenths < _UNSURE:
            unsure[source, extractor] += number
    for (source, extractor), number in sorted(unsure.items()):
        by = f"{source} ({extractor})" if extractor else source
        yield Finding(
            code="unsure-facts",
            severity="note",
            count=number,
            what=f"{number:,} facts of {by} have a confidence below .{_UNSURE}.",
            remedy='See what states them: kgrec extract --dry-run --text "..." --domain DOMAIN.',
        )


def _leftovers(reading: GraphReading) -> Iterator[Finding]:
    if reading.orphans:
        yield Finding(
            code="orphans",
            severity="note",
            count=reading.orphans,
            what=f"Nothing leads to {reading.orphans:,} entities.",
            remedy="kgrec graph sweep --dry-run, then kgrec graph sweep.",
        )
    if reading.retired:
        number = sum(one.total for one in reading.retired)
        last = max(reading.retired, key=lambda one: one.at)
        age = (time.time() - last.at.timestamp()) / 86_400
        yield Finding(
            code="retired",
            severity="note",
            count=number,
            what=f"{number:,} nodes, facts, links and interactions are retired and kept, the last "
            f"{age:,.0f} days ago.",
            examples=tuple(one.run_id for one in reading.retired[-EXAMPLES:]),
            remedy="kgrec graph retired lists them, kgrec graph restore brings them back, "
            "kgrec graph sweep forgets them.",
        )
