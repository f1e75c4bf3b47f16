"""Which subjects of a file of triples are items, and what their IRIs begin with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from kgrec.data.origins.triples.reading import read_triples
from kgrec.data.origins.triples.rows import TYPE, local
from kgrec.data.tables import TableFormat
from kgrec.errors import DataError
from kgrec.stages.starting.naming import words_in

_VOCABULARIES = ("http://www.w3.org/", "https://www.w3.org/")
"""What is of a type of these describes other subjects, as a class or a list does."""
_MOST_NAMED = 4
_SLASHES = 2
"""Of `https://`, behind which the host begins."""


@dataclass
class _Subjects:
    count: int = 0
    start: str | None = None


@dataclass(frozen=True)
class ItemSubjects:
    """The subjects that are guessed to be items.

    Attributes:
        type: their type, an IRI.
        base: what their IRIs begin with, up to a slash or a number sign.
    """

    type: str
    base: str
    why: str


def item_subjects(path: Path, kind: str, words: Collection[str]) -> ItemSubjects:
    """Guess which subjects are items: those whose type is called as items are, else the most.

    Args:
        kind: how the file holds triples.
        words: what items may be called, of the domains that are known.

    Raises:
        DataError: no subject has a type.
    """
    types: dict[str, _Subjects] = {}
    for one in read_triples(path, kind, TableFormat(), lambda *_: None):
        if one.predicate == TYPE and one.kind == "iri":
            found = types.setdefault(one.object, _Subjects())
            found.count += 1
            found.start = one.subject if found.start is None else _shared(found.start, one.subject)
    own = {name: one for name, one in types.items() if not name.startswith(_VOCABULARIES)}
    if not own:
        raise DataError(
            "no subject of the triples has a type",
            value=str(path),
            remedy="Name the subjects that are items: kgrec ingest catalog FILE --links FILE.",
        )
    ranked = sorted(own, key=lambda name: (-own[name].count, name))
    called = [name for name in ranked if words_in(local(name)) & set(words)]
    chosen = called[0] if called else ranked[0]
    others = ", ".join(f"{local(one)} ({own[one].count:,})" for one in ranked[:_MOST_NAMED])
    how = "is called as items are" if called else "has the most subjects"
    why = f"{local(chosen)} {how}; types: {others}"
    start = own[chosen].start or ""
    base = start[: max(start.rfind("/"), start.rfind("#")) + 1]
    known = "#" in base or base.count("/") > _SLASHES
    return ItemSubjects(chosen, base if known else "", why)


def _shared(one: str, other: str) -> str:
    """Return how two texts begin alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return one[: next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))]
