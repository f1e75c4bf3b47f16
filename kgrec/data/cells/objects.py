"""Names in lists and objects: which part of an object is its name, however they are nested."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kgrec.data.cells.languages import one_language
from kgrec.data.cells.values import CellError, parse_text, unwrapped

NAME_KEYS = (
    "name",
    "title",
    "label",
    "value",
    "text",
    "term",
    "tag",
    "genre",
    "category",
    "keyword",
)
"""Keys of objects that hold their name, the first that an object has."""
ID_KEYS = ("id", "key", "code")

_FIRST = ("firstname", "first", "given", "givenname", "forename")
_LAST = ("lastname", "last", "family", "familyname", "surname")
_OF_PARTS = frozenset({*_FIRST, *_LAST, "middlename", "username", "filename", "hostname"})
_FIELDS = frozenset(
    {
        *("lat", "lon", "lng", "long", "latitude", "longitude", "width", "height", "count", "min"),
        *("max", "average", "total", "score", "rating", "ratingvalue", "ratingcount", "bestrating"),
        *("reviewcount", "worstrating", "currency", "final", "initial", "amount", "price", "@type"),
        *("calories", "url", "href"),
    }
)
"""Keys of objects that measure something and name nothing, such as `{"lat": 48.1, "lon": 2.3}`."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_TEXT_KEYS = ("description", "desc", "#text", "_text", "$t", "preflabel")
"""Keys that hold the name where no other does, as in `{"id": "1", "description": "War"}`."""

_DEPTH = 20
_SIGNS = str.maketrans("", "", "_- .")


class Entry(NamedTuple):
    """One value of a cell: a name, and an id where the cell has one, else an empty one."""

    name: str
    id: str = ""


class Lookup(NamedTuple):
    """Which part of an object is its name and its id, and which objects count.

    Attributes:
        name, id: keys; without a name the usual ones are tried, without an id there is none.
        where: values that keys must have, such as `{"job": "Director"}`.
    """

    name: str = ""
    id: str = ""
    where: Mapping[str, str] = {}


ANY = Lookup()


def named_in(value: Any, role: str, lookup: Lookup) -> Iterator[Entry]:
    """Yield the names in a list, an object or one value, however they are nested.

    Raises:
        CellError: an object has no name.
    """
    yield from _named(value, role, lookup, 0)


def _named(value: Any, role: str, lookup: Lookup, depth: int) -> Iterator[Entry]:
    value = one_language(unwrapped(value))
    if value is None or isinstance(value, bool) or depth > _DEPTH:
        return
    if isinstance(value, list | tuple):
        for one in _unweighted(value):
            yield from _named(one, role, lookup, depth + 1)
    elif isinstance(value, Mapping):
        yield from _of_object(value, role, lookup, depth)
    elif text := _plain(value, role):
        yield Entry(text)


def _unweighted(values: Sequence[Any]) -> Sequence[Any]:
    """Return the names of a list of pairs of name and number: `[("War", 3), ("Noir", 0)]`."""
    for one in values:
        if not (isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[0], str)):
            return values
        if isinstance(one[1], bool) or not isinstance(one[1], int | float):
            return values
    return [name for name, weight in values if weight]


def _of_object(held: Mapping[str, Any], role: str, lookup: Lookup, depth: int) -> Iterator[Entry]:
    nested = [one for one in held.values() if isinstance(one, list | tuple | Mapping)]
    unlike = any(_scalar(held.get(key), role) != wanted for key, wanted in lookup.where.items())
    if unlike:
        yield from (entry for one in nested for entry in _named(one, role, lookup, depth + 1))
        return
    low = {key.casefold(): key for key in map(str, held)}
    key = _name_key(low, held, lookup)
    if key is None and not lookup.name and (parts := _name_in_parts(held, role)):
        yield Entry(parts, _plain(held.get(lookup.id), role) if lookup.id else "")
        return
    if key is not None:
        name = held[key]
        if isinstance(name, list | tuple | Mapping):
            yield from _named(name, role, Lookup(id=lookup.id), depth + 1)
        elif text := _plain(name, role):
            yield Entry(text, _plain(held.get(lookup.id), role) if lookup.id else "")
        return
    values = list(held.values())
    if nested:
        for one in nested:
            yield from _named(one, role, lookup, depth + 1)
    elif lookup.name or low.keys() & set(ID_KEYS) or low.keys() <= _FIELDS:
        wanted = lookup.name or "name"
        raise CellError(f"{role} holds objects without the key {wanted}", ", ".join(low.values()))
    elif all(isinstance(one, str) and _NUMBER.fullmatch(one) for one in values):
        yield from map(Entry, map(str, held))  # {"War": "0.9"}
    elif depth and _is_record(held):
        wanted = lookup.name or "name"
        raise CellError(f"{role} holds objects without the key {wanted}", ", ".join(low.values()))
    elif all(isinstance(one, str) for one in values):
        yield from map(Entry, values)  # {"/m/07s9rl0": "Drama"}
    else:
        yield from (Entry(str(one)) for one, weight in held.items() if weight)  # {"Indie": 542}


def _name_key(low: Mapping[str, str], held: Mapping[str, Any], lookup: Lookup) -> str | None:
    """Return the key of an object's name: a usual one, else one such as `artist_name`."""
    if lookup.name:
        return low.get(lookup.name.casefold())
    if usual := next((low[name] for name in NAME_KEYS if name in low), None):
        return usual
    bare = {key.translate(_SIGNS): low[key] for key in low}
    named = [one for key, one in bare.items() if key.endswith("name") and key not in _OF_PARTS]
    if named:
        return named[0]
    return next(
        (bare[key] for key in _TEXT_KEYS if isinstance(held.get(bare.get(key, "")), str)), None
    )


def _name_in_parts(held: Mapping[str, Any], role: str) -> str:
    """Return the name that stands in parts, as in `{"given": "Ann", "family": "Lee"}`."""
    bare = {str(key).casefold().translate(_SIGNS): value for key, value in held.items()}
    found = [next((bare[key] for key in keys if bare.get(key)), "") for keys in (_FIRST, _LAST)]
    return " ".join(filter(None, (_scalar(one, role) for one in found)))


def _is_record(held: Mapping[str, Any]) -> bool:
    """Return whether an object in a list has fields, of which none is its name."""
    texts = all(isinstance(one, str) for one in held.values())
    return texts and len(held) > 1 and all(str(key).isidentifier() for key in held)


def _scalar(value: Any, role: str) -> str:
    return "" if isinstance(value, list | tuple | Mapping) else _plain(value, role)


def _plain(value: Any, role: str) -> str:
    if isinstance(value, float) and (math.isnan(value) or value.is_integer()):
        value = None if math.isnan(value) else int(value)
    return "" if value is None else parse_text(value, role) or ""
