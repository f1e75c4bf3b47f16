"""The report as one record: what is there, how it is spread, and what was found."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from kgrec.config import Record
from kgrec.graph.setup import check_whole
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.stages.graph_report.activity import of_activity
from kgrec.stages.graph_report.content import of_content
from kgrec.stages.graph_report.findings import Finding
from kgrec.stages.graph_report.reading import GraphReading, read_graph


class Bucket(Record):
    """How many nodes have `low` to `high` of something."""

    low: int
    high: int
    nodes: int


class FactsOfSource(Record):
    """Facts of one relation by one source.

    Attributes:
        confidence: mean of the lower ends of tenths.
        tenths: how many have a confidence in each tenth, from 0 to 1.
    """

    relation: str
    source: str
    extractor: str
    facts: int
    confidence: float
    tenths: dict[int, int]


class Hub(Record):
    """An entity that many items lead to."""

    type: str
    entity_id: str
    name: str
    items: int


class Span(Record):
    """A fact with the words of a text that state it."""

    item_id: str
    relation: str
    entity_id: str
    evidence: str
    extractor: str
    confidence: float


class GraphReport(Record):
    """What a graph holds and what is wrong with it.

    Attributes:
        engine: the database and its version.
        degrees: by what is counted, in powers of two.
        interactions: by kind and month (`1997-09`, `unknown`).
        hubs: the entities with most items of each type, the most of all first.
        evidence: some facts that texts state.
        findings: warnings first.
    """

    created_at: str
    engine: str
    nodes: dict[str, int]
    relations: dict[str, int]
    degrees: dict[str, tuple[Bucket, ...]]
    facts: tuple[FactsOfSource, ...]
    interactions: dict[str, dict[str, int]]
    hubs: tuple[Hub, ...]
    evidence: tuple[Span, ...]
    retired: int
    orphans: int
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> int:
        """Number of findings that are warnings."""
        return sum(one.severity == "warning" for one in self.findings)


def make_report(store: GraphStore, progress: Progress = SILENT) -> GraphReport:
    """Read a graph and report on it.

    Raises:
        GraphError: an import into the graph is unfinished, and the kinds below it.
    """
    check_whole(store)
    reading = read_graph(store, progress)
    found = [*of_content(reading), *of_activity(reading)]
    info = store.info()
    return GraphReport(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        engine=f"{info.engine} {info.version}",
        nodes=reading.counts.nodes,
        relations=reading.counts.relations,
        degrees={name: _buckets(counts) for name, counts in sorted(reading.degrees.items())},
        facts=_facts(reading),
        interactions=_interactions(reading),
        hubs=_hubs(reading),
        evidence=tuple(
            Span(
                item_id=one.item_id,
                relation=one.relation,
                entity_id=one.entity,
                evidence=one.evidence,
                extractor=one.extractor,
                confidence=one.confidence,
            )
            for one in reading.evidence
        ),
        retired=sum(one.total for one in reading.retired),
        orphans=reading.orphans,
        findings=tuple(sorted(found, key=lambda one: one.severity != "warning")),
    )


def _buckets(counts: Counter[int]) -> tuple[Bucket, ...]:
    by_size: Counter[int] = Counter()
    for number, nodes in counts.items():
        by_size[number.bit_length()] += nodes
    return tuple(
        Bucket(low=1 << (size - 1) if size else 0, high=(1 << size) - 1, nodes=by_size[size])
        for size in range(max(by_size, default=-1) + 1)
    )


def _facts(reading: GraphReading) -> tuple[FactsOfSource, ...]:
    tenths: dict[tuple[str, str, str], Counter[int]] = {}
    for (relation, source, extractor, tenth), number in reading.facts.items():
        tenths.setdefault((relation, source, extractor), Counter())[tenth] += number
    rows = [
        FactsOfSource(
            relation=relation,
            source=source,
            extractor=extractor,
            facts=counts.total(),
            confidence=round(sum(t * n for t, n in counts.items()) / counts.total() / 10, 3),
            tenths=dict(sorted(counts.items())),
        )
        for (relation, source, extractor), counts in tenths.items()
    ]
    return tuple(sorted(rows, key=lambda one: (-one.facts, one.relation, one.source)))


def _interactions(reading: GraphReading) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    months = sorted(reading.interactions.items(), key=lambda one: (one[0][1] or 0, one[0][0]))
    for (kind, month), number in months:
        name = "unknown" if month is None else f"{month // 12:04d}-{month % 12 + 1:02d}"
        found.setdefault(kind, {})[name] = number
    return found


def _hubs(reading: GraphReading) -> tuple[Hub, ...]:
    hubs = [
        Hub(type=kind, entity_id=entity, name=name, items=number)
        for kind, best in reading.hubs.items()
        for number, entity, name in best
        if number > 1
    ]
    return tuple(sorted(hubs, key=lambda one: (-one.items, one.entity_id)))
