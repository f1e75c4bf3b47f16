"""Values in several languages: an object with a value for each, or a list of such objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CODES = frozenset(
    word
    for words in (
        "af ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy is",
        "it ja ka kk kn ko lt lv mk ml mn mr ms nb ne nl nn no pa pl pt ro ru sk sl sq sr sv sw ta",
        "te th tl tr uk ur uz vi zh eng deu fra spa ita por rus jpn zho kor und",
    )
    for word in words.split()
)
"""Of ISO 639; `id` is left out, which names something else in most objects."""
_LANGUAGE = ("lang", "language", "locale", "@language", "xml:lang", "iso_639_1", "iso_639")
_VALUE = ("value", "text", "@value", "name", "title", "label")


_WRAPPED = ("rendered", "#text", "_text", "$t", "@value", "plain_text", "raw")
"""Keys of objects that hold one text: of pages by an API, of XML as JSON."""


def one_wrapped(value: Any) -> Any:
    """Return the text that an object holds beside marks of its form, other values as they are.

    `{"rendered": "Heat", "protected": false}` and `{"#text": "12", "@type": "id"}` are such.
    """
    if not isinstance(value, Mapping):
        return value
    found = next((value[key] for key in _WRAPPED if key in value), None)
    return found if isinstance(found, str) else value


def one_language(value: Any) -> Any:
    """Return what a value holds in English, or else in its first language; others as they are.

    `{"en": "War", "fr": "Guerre"}` and `[{"lang": "en", "value": "War"}, ...]` are such values.
    """
    if isinstance(value, Mapping):
        if not value or not all(isinstance(key, str) and _code(key) in _CODES for key in value):
            return value
        if not all(isinstance(one, str | list | tuple) or one is None for one in value.values()):
            return value
        held = {key: one for key, one in value.items() if one}
        return next((one for key, one in held.items() if _code(key) == "en"), _first(held))
    if isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) for one in value):
        return _of_objects(value)
    return value


def _of_objects(objects: Any) -> Any:
    found: dict[str, list[str]] = {}
    for one in objects:
        language = next((one[key] for key in _LANGUAGE if key in one), None)
        name = next((one[key] for key in _VALUE if key in one), None)
        if not isinstance(language, str) or not isinstance(name, str):
            return objects
        found.setdefault(_code(language), []).append(name)
    if not found.keys() <= _CODES or len(found) == 1:
        return objects
    chosen = found.get("en", _first(found))
    return chosen[0] if len(chosen) == 1 else chosen


def _first(held: Mapping[str, Any]) -> Any:
    return next(iter(held.values()), None)


def _code(key: str) -> str:
    return key.replace("_", "-").partition("-")[0].casefold()
