"""Names for the columns of a file without a line of names, by what their values are like."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from kgrec.data.guesses import EVENTS
from kgrec.data.tables import TableFormat, open_table
from kgrec.data.tables.sniffing import column_count, sniff_delimiter
from kgrec.schema import load_schema

_LINES = 200
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")
_SECONDS = (1e8, 4e9)
_LEAST_RATED, _MOST_RATED = 0, 10
_SEVERAL = re.compile(r"[|;]")
_LONG = 80


def guessed_names(path: Path, layout: TableFormat) -> tuple[str, ...] | None:
    """Return names for the columns of a file, None where its rows look like neither kind.

    Rows of a user, an item and perhaps a rating and a time are interactions; rows of an id that no
    other row has, and of a text, are items.
    """
    with path.open(encoding=layout.encoding, errors="replace") as file:
        lines = list(itertools.islice(file, _LINES))
    delimiter = layout.delimiter or sniff_delimiter(lines, "\t")
    width = column_count(lines, delimiter, quoted=delimiter != "\t")
    if width < 2:
        return None
    plain = tuple(f"column_{n}" for n in range(1, width + 1))
    table = open_table(path, layout.model_copy(update={"header": plain, "delimiter": delimiter}))
    columns = [[str(row.get(name) or "") for row in table.sample] for name in plain]
    names = _of_interactions(columns) or _of_items(columns)
    return None if names is None else tuple(names.get(n, plain[n]) for n in range(width))


def wide_delimiter(path: Path, encoding: str) -> str | None:
    """Return `::` where it cuts the lines of a file into columns, as in the files of MovieLens."""
    with path.open("rb") as file:
        lines = [line.decode(encoding, "replace") for line in itertools.islice(file, _LINES)]
    cut = [line.count("::") for line in lines if line.strip()]
    return "::" if cut and min(cut) >= 2 and cut.count(cut[0]) == len(cut) else None


def _of_interactions(columns: Sequence[Sequence[str]]) -> dict[int, str] | None:
    """Return names by position where rows are what users did: user, item, rating, time, event.

    Beside events, other numbers are left without a name: they count something else for each.
    """
    if len(columns) > 5:
        return None
    names: dict[int, str] = {}
    kinds = {*load_schema().core.interactions, *EVENTS}
    named = [values and all(one.casefold() in kinds for one in values) for values in columns]
    rest = []
    for n, values in enumerate(columns):
        numbers = [float(one) for one in values if _NUMBER.fullmatch(one)]
        numeric = len(numbers) == len(values) and bool(values)
        if n >= 2 and numeric and all(_SECONDS[0] <= one <= _SECONDS[1] for one in numbers):
            names[n] = "timestamp"
        elif n >= 2 and named[n]:
            names[n] = "event"
        elif n >= 2 and numeric and any(named):
            continue
        elif n >= 2 and numeric and all(_LEAST_RATED <= one <= _MOST_RATED for one in numbers):
            names[n] = "rating"
        else:
            rest.append(n)
    if len(rest) != 2 or rest != [0, 1] or len(set(names.values())) < len(names):
        return None
    if any(len(max(columns[n], key=len)) > _LONG for n in rest):
        return None
    return {0: "user_id", 1: "item_id", **names}


def _of_items(columns: Sequence[Sequence[str]]) -> dict[int, str] | None:
    """Return names by position where rows are items: id, title, description, genres."""
    first = columns[0]
    if len(columns) > 4 or not first or len(set(first)) < len(first):
        return None
    names, titled = {0: "id"}, False
    lengths = [sum(map(len, values)) / max(len(values), 1) for values in columns]
    longest = max(range(len(columns)), key=lambda n: lengths[n])
    for n, values in enumerate(columns[1:], 1):
        words = [one for one in values if not _NUMBER.fullmatch(one) and "://" not in one]
        if len(words) < len(values) / 2:
            continue
        several = sum(bool(_SEVERAL.search(one)) for one in values) > len(values) / 10
        if several:
            names.setdefault(n, "genres")
        elif n == longest and lengths[n] > _LONG:
            names[n] = "description"
        elif not titled and len(set(values)) > 0.9 * len(values) and lengths[n] > 3:
            names[n], titled = "title", True
    return names if titled else None
