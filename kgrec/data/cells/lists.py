"""Cells with several values: cut at a separator, or lists and objects written as text.

JSON, Python (lists, sets, tuples and dictionaries as `str` writes them, NumPy arrays too), arrays
of PostgreSQL, vectors of R, and values that are lists and objects already. `ast.literal_eval`
joins strings without a comma between them, and knows no other language; so there is a reader here
that accepts what all of them write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kgrec.data.cells.languages import one_language, one_wrapped
from kgrec.data.cells.markup import one_line, plain_text
from kgrec.data.cells.objects import ANY, Entry, Lookup, named_in
from kgrec.data.cells.values import CellError, decoded, is_nothing, parse_text, unwrapped
from kgrec.data.records import MAX_ID, tidy

LEVELS = (" > ", " >> ", " › ", " » ")
"""Marks between the levels of a category: `Home > Lighting > Lamps`."""

_CLOSING = {"[": "]", "{": "}", "(": ")"}
_BEGIN = re.compile(
    r"(?:(?:np\.|numpy\.)?(?:array|ndarray|set|frozenset|list|tuple|dict|OrderedDict|c|character)\s*"
    r"(?=\())?[\[{(]"
)
_CERTAIN = re.compile(r"""[\[{(]+\s*(?:[uUbB]?["']|[\[{]|[\]}]$|-?\d+:\s)""")
# Where a quote ends a text: before a mark, or before the next text, as NumPy writes them.
_END = r"""(?=\s{0,9}(?:[\]}),:=]|$)|\s{1,9}[uUbB]?["'])"""
_TOKEN = re.compile(
    rf"""\s*+(?:(?P<mark>[\[\]{{}}(),])"""
    rf"""|[uUbB]?"(?P<double>(?:[^"\\]|\\.|""|"(?!{_END}))*+)"{_END}"""
    rf"""|[uUbB]?'(?P<single>(?:[^'\\]|\\.|'(?!{_END}))*+)'{_END}"""
    r"""|(?P<key>[:=])|(?P<bare>(?!["'])(?:(?!:\s{0,9}["'\[{])[^\[\]{}(),])++))""",
    re.DOTALL,
)
_QUOTE = re.compile(r"\"[^\"]*\"|'[^']*'")
_QUOTED = re.compile(r"\"[^\"]*\"(?:\s*[,;|]\s*\"[^\"]*\")+|'[^']*'(?:\s*[,;|]\s*'[^']*')+")
_PAIR = re.compile(r'"([^"]*)"\s*=>\s*(?:"([^"]*)"|NULL)\s*(?:,\s*|$)')
_PAIRS = re.compile(rf"(?:{_PAIR.pattern})+")
"""A cell of PostgreSQL's hstore: `"War"=>"12", "Noir"=>NULL`."""
_ANGLE = re.compile(r"<([^<>/\s][^<>]*)>")
_IN_ANGLES = re.compile(r"(?:<[^<>/\s][^<>]*>)+")
_ELEMENTS = re.compile(r"(?:\s*<(?P<name>\w{1,40})(?:\s[^<>]*)?>[^<>]*</(?P=name)>)+\s*")
_ELEMENT = re.compile(r">([^<>]*)</")
_ATTRIBUTE = re.compile(r"""\s(?:name|label|title|value|term)=["']([^"'<>]+)["']""")
"""Of an element without text: `<genre name="War"/>`."""
_POINT = re.compile(r"(?:[-*•▪‣◦●∙·–]|\d{1,3}[.)])\s+")
_POINTS = re.compile(r"\s*[•▪‣◦●∙]\s*")
_ONE_QUOTED = re.compile(r'"([^"]*\w[^"]*)"(?:@[A-Za-z-]+|\^\^\S+)?')
_HASHTAG = re.compile(r"#[^\W\d]\w*")
_HASHTAGS = re.compile(r"(?:#[^\W\d]\w*[\s,;|]*+){2,}")
_FLOAT = re.compile(r"-?\d{1,17}\.\d{1,17}")
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_AND = re.compile(r"\s*(?:and|&|und|et)\s+")
_SUFFIX = re.compile(r"\s*(?:jr|sr|ii|iii|iv|ph\.?d|m\.?d|esq|inc|ltd|llc|co)\.?\s*", re.IGNORECASE)
_MEASURE = re.compile(r"\s*\d{1,3}(?:[.,]\d{1,3})?\s*")
_WEIGHTED = re.compile(r"(.*\w)\s*=\s*\d{1,9}(?:\.\d{1,9})?")
_DEPTH = 20


def split_values(value: Any, separator: str | None, role: str) -> list[str]:
    """Return the distinct values of a cell with several, in their order.

    A list, as JSON lines and Parquet have it, needs no separator.
    """
    if isinstance(value, list | tuple):
        parts = [parse_text(part, role) for part in value]
    else:
        text = parse_text(value, role)
        parts = [] if text is None else [*cut(text, separator)]
    names = [tidy(part) for part in parts if part]
    for name in names:
        _check_length(name, role)
    return list(dict.fromkeys(filter(None, names)))


def cut(text: str, separator: str | None) -> list[str]:
    """Return the parts of a text; `Robert Downey, Jr.` is one, also where commas separate."""
    if not separator or separator not in text:
        return [text]
    parts: list[str] = []
    for part in text.split(separator):
        if separator == "," and parts and _SUFFIX.fullmatch(part):
            parts[-1] += f",{part}"
        else:
            parts.append(_AND.sub("", part, count=1) if separator == "," and parts else part)
    return parts


def entries(
    value: Any,
    role: str,
    *,
    separator: str | None = None,
    is_list: bool = False,
    lookup: Lookup = ANY,
    nulls: frozenset[str] = frozenset(),
) -> list[Entry]:
    """Return the distinct values of a cell: of a list, of one written as text, or cut.

    They are those of `all_entries` without repeated ones, empty ones and words for nothing.

    Args:
        is_list: whether most cells of the column are lists, so that `{drama,crime}` is one too.
        nulls: words for nothing, which are no values.

    Raises:
        CellError: a list breaks off, holds objects without a name, or a value is too long.
    """
    kept: dict[Entry, None] = {}
    for one in all_entries(value, role, separator=separator, is_list=is_list, lookup=lookup):
        if one.name and not is_nothing(one.name, nulls):
            _check_length(one.name, role)
            kept[one] = None
    return list(kept)


def all_entries(
    value: Any,
    role: str,
    *,
    separator: str | None = None,
    is_list: bool = False,
    lookup: Lookup = ANY,
) -> list[Entry]:
    """Return the values of a cell in their order, those that stand beside ids in another cell."""
    value = decoded(unwrapped(value), role)
    read = written(value, role, is_list=is_list) if isinstance(value, str) else value
    if isinstance(read, str):
        plain = plain_text(read)
        text = parse_text(plain, role)
        # <br> and points of a list stand between names; a line break in a plain cell may not.
        separator = "\n" if plain is not read and text and "\n" in text else separator
        found = [Entry(part) for part in _parts(text, separator)] if text else []
    else:
        found = [part for one in named_in(read, role, lookup) for part in _levels(one)]
    return [Entry(_without_signs(one_line(tidy(one.name))), one.id) for one in found]


def _levels(one: Entry) -> list[Entry]:
    """Return the levels of a category in a list: `["Home >> Lighting >> Lamps"]`."""
    mark = next((mark for mark in LEVELS if mark in one.name), None)
    return [one] if mark is None or one.id else [Entry(part) for part in one.name.split(mark)]


def one_text(value: Any, role: str) -> Any:
    """Return the text of one language where a cell holds it in several, other cells as they are."""
    try:
        read = written(value, role) if isinstance(value, str) else value
    except CellError:  # prose may begin with a bracket
        return value
    found = one_wrapped(one_language(read))
    return found if isinstance(found, str) and found is not read else value


def _parts(text: str, separator: str | None) -> list[str]:
    if text[0] == "#" and _HASHTAGS.fullmatch(text):
        return _HASHTAG.findall(text)
    if _POINTS.match(text):  # • War • Noir
        return _POINTS.split(text)[1:]
    if _POINT.match(text):
        lines = text.splitlines()
        if all(_POINT.match(line) for line in lines) and (len(lines) > 1 or text[0] in "-*"):
            return [_POINT.sub("", line, count=1) for line in lines]
    parts = cut(text, separator)
    if separator == "\n":  # a company and, below it, its rating
        parts = [part for part in parts if not _MEASURE.fullmatch(part)] or parts
    weighed = [_WEIGHTED.fullmatch(part.strip()) for part in parts] if "=" in text else []
    return [one[1] for one in weighed if one] if weighed and all(weighed) else parts


def _without_signs(name: str) -> str:
    """Return a hashtag as the word that it is, and a name without the quotes that it stands in.

    `#drama` is drama; `#1 Fan`, C# and `"Weird Al" Yankovic` are names.
    """
    if name[:1] == "#" and _HASHTAG.fullmatch(name):
        return name[1:]
    quoted = _ONE_QUOTED.fullmatch(name) if name[:1] == '"' else None
    return quoted[1].strip() if quoted else name


def looks_written(text: str) -> bool:
    """Return whether a text is a list or an object beyond doubt: quotes, in brackets or not."""
    text = _encoded_once(text.strip())
    marked = {'"': _PAIRS, "<": _ELEMENTS}.get(text[:1])
    if _QUOTED.fullmatch(text) or (marked is not None and marked.fullmatch(text)):
        return True
    found = _BEGIN.match(text)
    return found is not None and bool(_CERTAIN.match(text, found.end() - 1))


def may_be_written(text: str) -> bool:
    """Return whether a text stands in brackets: `{drama,crime}`, `<drama><crime>`, or `[REC]`."""
    text = text.strip()
    if text[:1] == "<":
        return _IN_ANGLES.fullmatch(text) is not None
    return text[:1] in ("[", "{") and text[-1:] == _CLOSING[text[0]]


def written(text: str, role: str, *, is_list: bool = False) -> Any:
    """Return what a text that is a list or an object holds; another text as it is.

    Raises:
        CellError: a list begins and does not end.
    """
    if not looks_written(text) and not (is_list and may_be_written(text)):
        return text
    text = _encoded_once(text.strip())
    if text[:1] == "<":
        found = (_ELEMENT if _ELEMENTS.fullmatch(text) else _ANGLE).findall(text)
        return [named[1] if (named := _ATTRIBUTE.search(one)) else one for one in found]
    if text[:1] == '"' and _PAIRS.fullmatch(text):
        return {key: _bare(value) if value else None for key, value in _PAIR.findall(text)}
    if text[:1] in "\"'":
        return [one[1:-1] for one in _QUOTE.findall(text)]
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    tokens = list(_tokens(text.strip()))
    try:
        value, end = _value(tokens, 0, 0)
    except IndexError:
        raise CellError(f"{role} holds a list that does not end", text[:80]) from None
    return value if end == len(tokens) else text


def _encoded_once(text: str) -> str:
    """Return the list that a text of JSON holds as a text, another text as it is."""
    if len(text) > 6 and text[:3] == text[-3:] == '"""':  # a line of CSV as a cell of another
        return text[1:-1].replace('""', '"')
    if text[:2] not in ('"[', '"{') or text[-2:] not in (']"', '}"'):
        return text
    try:
        inner = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return text
    return inner.strip() if isinstance(inner, str) else text


_Token = tuple[str, str]
"""A mark, `text`, `bare` or `key`, and what it holds."""


def _tokens(text: str) -> Iterator[_Token]:
    begin = _BEGIN.match(text)
    position = begin.end() - 1 if begin else 0
    while found := _TOKEN.match(text, position):
        position = found.end()
        kind = found.lastgroup or ""
        held = found[kind]
        if kind == "mark":
            yield held, held
        elif kind in ("double", "single"):
            yield "text", _unescaped(held.replace('""', '"') if kind == "double" else held)
        else:
            yield kind, held.strip()


def _value(tokens: list[_Token], at: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins at a token, and the position behind it."""
    kind, held = tokens[at]
    if kind not in _CLOSING:
        return (_bare(held) if kind == "bare" else held), at + 1
    if depth > _DEPTH:
        raise CellError("a list is nested too deeply", held)
    values: list[Any] = []
    pairs: dict[str, Any] = {}
    at += 1
    while tokens[at][0] != _CLOSING[kind]:
        if tokens[at][0] in (",", "key") or tokens[at][0] in _CLOSING.values():
            at += 1
            continue
        one, at = _value(tokens, at, depth + 1)
        if tokens[at][0] == "key" and kind != "[":
            pairs[str(one)], at = _value(tokens, at + 1, depth + 1)
        elif tokens[at - 1][0] == "bare" and kind == "{" and isinstance(one, str) and ": " in one:
            key, _, rest = one.partition(": ")
            pairs[key] = _bare(rest)
            values.append(one)
        else:
            values.append(one)
    # `{Star Wars: A New Hope, Alien}` is a list whose values hold colons.
    return (pairs if pairs and (not values or len(pairs) == len(values)) else values), at + 1


def _bare(text: str) -> Any:
    if text.casefold() in ("none", "null", "nan", "na", "undefined"):
        return None
    if text in ("True", "true", "False", "false"):
        return text in ("True", "true")
    if text.startswith("dtype="):
        return None
    if _WHOLE.fullmatch(text):  # `007` is a code
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _unescaped(text: str) -> str:
    def letter(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        return chr(int(code, 16)) if code else _LETTERS.get(found[3], found[3])

    return _ESCAPE.sub(letter, text) if "\\" in text else text


def _check_length(name: str, role: str) -> None:
    if len(name) > MAX_ID:
        raise CellError(f"a value of {role} is longer than {MAX_ID} characters", name[:80])
