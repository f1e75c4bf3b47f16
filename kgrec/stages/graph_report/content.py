"""What is found of items and entities: gaps, words for nothing, hubs, doubles."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kgrec.schema import load_schema
from kgrec.stages.graph_report.doubles import Node, sorted_words
from kgrec.stages.graph_report.findings import Finding, Severity
from kgrec.stages.graph_report.reading import EXAMPLES, GraphReading

_HUB_SHARE = 0.5
"""What more of the items have sets few of them apart."""
_HUB_TIMES = 8
"""One that has so many times the items of the next of its type is hardly one thing."""
_SMALLEST_HUB = 20


_OF_ITEMS: tuple[tuple[str, Severity, str, str], ...] = (
    (
        "unknown-items",
        "warning",
        "have neither text nor facts nor interactions, and can never be recommended",
        "See which columns are used: kgrec ingest catalog FILE --dry-run; or remove the items: "
        "kgrec ingest catalog FILE --delete.",
    ),
    (
        "items-without-title",
        "warning",
        "have no title, and are shown by their ids",
        "Name the column: kgrec ingest catalog FILE --column title=COLUMN.",
    ),
    (
        "items-without-text",
        "note",
        "have no description: agents that read texts know their titles alone",
        "Name the column: kgrec ingest catalog FILE --column description=COLUMN.",
    ),
    (
        "items-without-facts",
        "note",
        "have no facts: no path can explain them",
        "Read their texts: kgrec extract --domain DOMAIN; or name columns: "
        "kgrec ingest catalog FILE --relation HAS_GENRE=COLUMN.",
    ),
)


def of_content(reading: GraphReading) -> Iterator[Finding]:
    """Yield what is found of items and entities."""
    yield from _items(reading)
    yield from _nothing(reading)
    yield from _hubs(reading)
    yield from _doubles(reading)


def _items(reading: GraphReading) -> Iterator[Finding]:
    total = reading.counts.nodes.get(load_schema().labels.item, 0)
    if not total:
        yield Finding(
            code="no-items",
            severity="warning",
            count=0,
            what="The graph holds no items.",
            remedy="Load a catalogue: kgrec init FILES..., or kgrec ingest catalog FILE.",
        )
    for of, (code, severity, what, remedy) in zip(
        (reading.unknown, reading.untitled, reading.textless, reading.factless),
        _OF_ITEMS,
        strict=True,
    ):
        if of.count:
            yield Finding(
                code=code,
                severity=severity,
                count=of.count,
                what=f"{of.count:,} of {total:,} items {what}.",
                examples=tuple(of.shown),
                remedy=remedy,
            )


def _nothing(reading: GraphReading) -> Iterator[Finding]:
    for (place, word), of in sorted(reading.nothing.items()):
        yield Finding(
            code="value-for-nothing",
            severity="warning",
            count=of.count,
            what=f"A {place} is {word!r}, which looks like nothing: {of.count:,} in all.",
            examples=tuple(of.shown),
            remedy=f"Load the table again with the word left out: kgrec ingest catalog FILE --null "
            f"{shlex.quote(word)} --complete; then kgrec graph sweep.",
        )


def _hubs(reading: GraphReading) -> Iterator[Finding]:
    total = reading.counts.nodes.get(load_schema().labels.item, 0)
    for kind, best in sorted(reading.hubs.items()):
        ranked = sorted(best, reverse=True)
        if not ranked or ranked[0][0] < _SMALLEST_HUB:
            continue
        for number, entity, name in ranked:
            if number > _HUB_SHARE * total:
                what = f"{kind} {name!r} has {number:,} of {total:,} items, and sets few apart."
                yield _hub(number, what, entity)
        number, entity, name = ranked[0]
        second = ranked[1][0] if len(ranked) > 1 else number
        few = number <= _HUB_SHARE * total
        if few and reading.types[kind] >= 5 and number >= _HUB_TIMES * max(second, 1):
            what = (
                f"{kind} {name!r} has {number:,} items and the next {second:,}: it may stand for "
                "many, or for nothing."
            )
            yield _hub(number, what, entity)


def _hub(number: int, what: str, entity: str) -> Finding:
    return Finding(
        code="entity-ties-too-much",
        severity="warning",
        count=number,
        what=what,
        examples=(entity,),
        remedy="Where it is no value, load the table again without it: kgrec ingest catalog FILE "
        "--null VALUE --complete. Where it is one, leave it: paths pass hubs by.",
    )


def _doubles(reading: GraphReading) -> Iterator[Finding]:
    for what, doubles in (("items", reading.items), ("entities", reading.entities)):
        groups = doubles.groups()
        kinds = {True: list[list[Node]](), False: list[list[Node]]()}
        for group in groups:
            kinds[len({sorted_words(one[0]) for one in group}) == 1].append(group)
        same, nearly = kinds[True], kinds[False]
        remedy = (
            "If they are one, give both tables the same ids, or namespace for two catalogues "
            "(kgrec ingest catalog FILE --namespace NAME keeps them apart); remove one: "
            "kgrec ingest catalog FILE --delete."
            if what == "items"
            else "If they are one, write them alike in the table, or give ids: --relation with "
            "id (docs/tables.md), and load it again with --complete."
        )
        for code, severity, found, how in (
            (f"{what}-of-one-name", "warning", same, "the same name"),
            (f"{what}-of-nearly-one-name", "note", nearly, "names that differ by a letter"),
        ):
            if found:
                yield Finding(
                    code=code,
                    severity="warning" if severity == "warning" else "note",
                    count=len(found),
                    what=f"{len(found):,} groups of {what} have {how}.",
                    examples=tuple(_listed(group) for group in found[:EXAMPLES]),
                    remedy=remedy,
                )


def _listed(group: list[Node]) -> str:
    return " = ".join(f"{name} ({key}{', ' * bool(year)}{year})" for name, key, year in group[:4])
