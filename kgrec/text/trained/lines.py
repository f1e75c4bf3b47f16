"""Labelled texts as files: one JSON object a line, with character offsets.

`{"id", "text", "entities": [{"start", "end", "label"}], "relations": [{"head", "tail", "label"}]}`
where head and tail are positions in `entities`; predictions carry `confidence` as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kgrec.data.rejects import Reject, shown
from kgrec.errors import DataError

MOST_BAD = 0.5
"""A file of which more than this share of the lines is unusable is refused."""


@dataclass(frozen=True, slots=True)
class LabelledSpan:
    """An entity in a text: `text[start:end]`; confidence is None where a person labelled it."""

    start: int
    end: int
    label: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class LabelledRelation:
    """A relation from one entity to another, by their positions in the entities of the text."""

    head: int
    tail: int
    label: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text with its entities and the relations between them."""

    id: str
    text: str
    entities: tuple[LabelledSpan, ...] = ()
    relations: tuple[LabelledRelation, ...] = ()


@dataclass(frozen=True)
class LabelledFile:
    """What a file holds.

    Attributes:
        texts: in the order of the file.
        rejects: the lines that cannot be used, with number and reason.
    """

    texts: list[LabelledText]
    rejects: list[Reject]


def read_lines(path: Path, *, labelled: bool = True) -> LabelledFile:
    """Read a file of labelled texts; lines that cannot be used are set aside.

    Args:
        labelled: False reads ids and texts alone, whatever else a line has.

    Raises:
        DataError: the file cannot be read, has no usable line, or most of its lines are bad.
    """
    texts: list[LabelledText] = []
    rejects: list[Reject] = []
    for one in parsed_lines(path, labelled=labelled):
        if isinstance(one.content, Reject):
            rejects.append(one.content)
        else:
            texts.append(one.content)
    check_share(path, len(texts), len(rejects), rejects[0] if rejects else None)
    return LabelledFile(texts, rejects)


class ParsedLine(NamedTuple):
    """A line of a file of labelled texts.

    Attributes:
        number: from 1; blank lines are counted and left out.
        end: where it ends in the file, in bytes.
    """

    number: int
    end: int
    content: LabelledText | Reject


def parsed_lines(
    path: Path, *, labelled: bool = True, offset: int = 0, number: int = 0
) -> Iterator[ParsedLine]:
    """Read a file line by line.

    Args:
        labelled: as of `read_lines`.
        offset, number: the end of a line and its number, to go on behind it.

    Raises:
        DataError: the file cannot be read.
    """
    for at, end, line in _lines(path, offset, number):
        try:
            given = json.loads(line)
            if not isinstance(given, dict):
                raise ValueError("it is no JSON object")
            yield ParsedLine(at, end, _text(given, at, labelled=labelled))
        except (ValueError, RecursionError) as error:
            reason = "it is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
            yield ParsedLine(at, end, Reject(path.name, at, shown(line), reason))


def check_share(path: Path, texts: int, rejected: int, first: Reject | None) -> None:
    """Refuse a file without a usable line, or with more bad lines than `MOST_BAD`.

    Raises:
        DataError: it is such a file.
    """
    if texts and rejected <= MOST_BAD * (texts + rejected):
        return
    example = f" (line {first.line}: {first.reason})" if first else ""
    what = "most lines of the file" if texts else "all lines of the file"
    raise DataError(
        f"{what} cannot be used{example}" if rejected else "there is no text in the file",
        value=str(path),
        remedy='A line is {"id", "text", "entities": [{"start", "end", "label"}], "relations": '
        '[{"head", "tail", "label"}]}; examples/extraction converts two public formats.',
    )


def write_lines(path: Path, texts: Iterable[LabelledText]) -> int:
    """Write labelled texts, one a line, and return how many.

    Raises:
        DataError: the file cannot be written.
    """
    count = 0
    try:
        with path.open("w", encoding="utf-8") as file:
            for each in texts:
                file.write(json.dumps(as_object(each), ensure_ascii=False) + "\n")
                count += 1
    except OSError as error:
        raise DataError(f"the file cannot be written ({error.strerror})", value=str(path)) from None
    return count


def as_object(labelled: LabelledText) -> dict[str, Any]:
    """Return a labelled text as the object of its line."""
    return {
        "id": labelled.id,
        "text": labelled.text,
        "entities": [
            {"start": e.start, "end": e.end, "label": e.label} | _confidence(e.confidence)
            for e in labelled.entities
        ],
        "relations": [
            {"head": r.head, "tail": r.tail, "label": r.label} | _confidence(r.confidence)
            for r in labelled.relations
        ],
    }


def _confidence(value: float | None) -> dict[str, float]:
    return {} if value is None else {"confidence": round(value, 4)}


def _lines(path: Path, offset: int, number: int) -> Iterator[tuple[int, int, str]]:
    """Yield number and end of each line that is not blank, and the line."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            end = offset
            for at, given in enumerate(file, start=number + 1):
                end += len(given)
                line = given.decode("utf-8-sig" if end == len(given) else "utf-8", "replace")
                if line.strip():
                    yield at, end, line.strip()
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({error.strerror})", value=str(path), remedy="Check the path."
        ) from None


def _text(given: Mapping[str, Any], number: int, *, labelled: bool) -> LabelledText:
    text = given.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("it has no text")
    name = given.get("id")
    if not isinstance(name, str | int | None) or isinstance(name, bool):
        raise ValueError("its id is neither a string nor a number")
    key = str(number) if name is None else str(name)
    if not labelled:
        return LabelledText(key, text)
    entities = tuple(_span(each, len(text)) for each in _list(given, "entities"))
    relations = tuple(_relation(each, len(entities)) for each in _list(given, "relations"))
    return LabelledText(key, text, entities, relations)


def _list(given: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = given.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ValueError(f"its {key} are no list of objects")
    return found


def _span(given: Mapping[str, Any], length: int) -> LabelledSpan:
    start, end = _integer(given, "start"), _integer(given, "end")
    if not 0 <= start < end <= length:
        raise ValueError(f"an entity from {start} to {end} is not within its text of {length}")
    return LabelledSpan(start, end, _label(given), _probability(given))


def _relation(given: Mapping[str, Any], count: int) -> LabelledRelation:
    head, tail = _integer(given, "head"), _integer(given, "tail")
    if not (0 <= head < count and 0 <= tail < count):
        raise ValueError(f"a relation from entity {head} to {tail} of {count}")
    return LabelledRelation(head, tail, _label(given), _probability(given))


def _integer(given: Mapping[str, Any], key: str) -> int:
    value = given.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"a {key} that is no whole number")
    return value


def _label(given: Mapping[str, Any]) -> str:
    label = given.get("label")
    if not isinstance(label, str) or not label.strip():
        raise ValueError("a label that is no word")
    return label


def _probability(given: Mapping[str, Any]) -> float | None:
    value = given.get("confidence")
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError("a confidence that is not between 0 and 1")
    return float(value)
