"""Triples of a file: N-Triples and N-Quads by line, `.kg` by row, Turtle by rdflib.

The first three are streamed. Turtle's text is in memory while it is parsed, its triples are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kgrec.data.tables.files import SetAside, TableFormat, unbroken
from kgrec.data.tables.packing import binary, unpacked_suffix
from kgrec.data.tables.rows import BrokenRow, read_delimited
from kgrec.errors import ConfigError, DataError

_IRI = r"<([^\x00-\x20<>\"{}|^`]*)>"
_BLANK = r"(_:[\w][\w.-]*)"
_LITERAL = r'"((?:[^"\\\n\r]|\\.)*)"(?:@([A-Za-z]+(?:-[A-Za-z0-9]+)*)|\^\^' + _IRI + ")?"
_LINE = re.compile(
    rf"\s*(?:{_IRI}|{_BLANK})\s*{_IRI}\s*(?:{_IRI}|{_BLANK}|{_LITERAL})"
    rf"\s*(?:{_IRI}|{_BLANK})?\s*\.\s*(?:#.*)?"
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([tbnrf\"'\\]))")
_SIGNS = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}
_ENDS = ("head", "relation", "tail")
FORMATS = {
    ".nt": "ntriples",
    ".nq": "ntriples",
    ".ttl": "turtle",
    ".n3": "turtle",
    ".kg": "kg",
}


class Triple(NamedTuple):
    """One statement.

    Attributes:
        kind: of the object: `iri`, `blank`, `@LANGUAGE`, or the IRI of the type of a literal.
    """

    subject: str
    predicate: str
    object: str
    kind: str


def format_of(path: Path, layout: TableFormat) -> str | None:
    """Return how a file holds triples, None where it does not."""
    if layout.format is not None:
        return layout.format if layout.format in FORMATS.values() else None
    return FORMATS.get(unpacked_suffix(path))


def read_triples(
    path: Path, kind: str, layout: TableFormat, set_aside: SetAside
) -> Iterator[Triple]:
    """Yield the triples of a file; lines that are none go to `set_aside`.

    Raises:
        ConfigError: rdflib, which reads Turtle, is not installed.
        DataError: the file is not Turtle, or has no column of a `.kg` file.
    """
    if kind == "ntriples":
        with binary(path, layout.max_growth) as file:
            for number, line in enumerate(unbroken(file, set_aside), 1):
                yield from _of_line(number, line, set_aside)
    elif kind == "kg":
        for number, cells in rows_of(path, layout, set_aside):
            head, relation, tail = (cells.get(f"{one}_id", "") for one in _ENDS)
            if head and relation and tail:
                yield Triple(head, relation, tail, "iri")
            else:
                reason = "head_id, relation_id or tail_id is missing"
                set_aside(number, "\t".join(cells.values()), reason)
    else:
        yield from _of_turtle(path, layout)


def rows_of(
    path: Path, layout: TableFormat, set_aside: SetAside
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a tab-separated file with a header of `name:type` columns."""
    with binary(path, layout.max_growth) as file:
        texts = (line.decode("utf-8", "replace") for line in unbroken(file, set_aside))
        names: list[str] = []
        for row in read_delimited(texts, "\t", quoted=False):
            if isinstance(row, BrokenRow):
                set_aside(row.line, row.text.rstrip("\r\n"), row.reason)
            elif not names:
                names = [name.lstrip("\ufeff").partition(":")[0].strip() for name in row.cells]
            else:
                yield row.line, dict(zip(names, row.cells, strict=True))


def _of_line(number: int, line: bytes, set_aside: SetAside) -> Iterator[Triple]:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        set_aside(number, line.decode("utf-8", "backslashreplace"), "bytes that are not UTF-8")
        return
    if not text.strip() or text.lstrip().startswith("#"):
        return
    found = _LINE.fullmatch(text.strip())
    if found is None:
        set_aside(number, text.strip(), "not a line of N-Triples")
        return
    iri, blank, predicate, to_iri, to_blank, literal, language, datatype = found.groups()[:8]
    subject = _unescaped(iri) if iri is not None else blank
    if to_iri is not None:
        yield Triple(subject, _unescaped(predicate), _unescaped(to_iri), "iri")
    elif to_blank is not None:
        yield Triple(subject, _unescaped(predicate), to_blank, "blank")
    else:
        kind = f"@{language.lower()}" if language else datatype or ""
        yield Triple(subject, _unescaped(predicate), _unescaped(literal), kind)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_sign, text) if "\\" in text else text


def _sign(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    if code:
        number = int(code, 16)
        return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
    return _SIGNS.get(found[3], found[3])


def _of_turtle(path: Path, layout: TableFormat) -> Iterator[Triple]:
    """Yield the triples of Turtle in pieces, as rdflib's parser hands them over."""
    try:
        import rdflib
    except ImportError:
        raise ConfigError(
            "a package that Turtle needs is not installed",
            value="rdflib",
            remedy="Run `pip install 'kgrec[rdf]'`, or convert the file to N-Triples.",
        ) from None
    found: list[Triple] = []

    class Collecting(rdflib.Graph):  # type: ignore[misc, unused-ignore]
        def add(self, triple: Any) -> Any:
            found.append(_plain(triple, rdflib))
            return self

    with binary(path, layout.max_growth) as file:
        try:
            Collecting().parse(data=file.read(), format="turtle", publicID="urn:kgrec:")
        except Exception as error:  # its parser raises classes of several modules
            reason = " ".join(str(error).split())[:300]
            raise DataError(f"the file is not Turtle ({reason})", value=str(path)) from None
    yield from found


def _plain(triple: Any, rdflib: Any) -> Triple:
    subject, predicate, thing = triple
    blank: Callable[[Any], bool] = lambda node: isinstance(node, rdflib.BNode)  # noqa: E731
    start = f"_:{subject}" if blank(subject) else str(subject)
    if blank(thing):
        return Triple(start, str(predicate), f"_:{thing}", "blank")
    if isinstance(thing, rdflib.URIRef):
        return Triple(start, str(predicate), str(thing), "iri")
    kind = f"@{thing.language.lower()}" if thing.language else str(thing.datatype or "")
    return Triple(start, str(predicate), str(thing), kind)
