"""Files of an evaluation: runs (`user<TAB>item<TAB>score`) in and out, texts written whole."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

import numpy as np

from kgrec.data.dataset import Dataset, IntArray
from kgrec.errors import DataError
from kgrec.evaluation.protocol import Lists


def run_lines(lists: Lists, train: Dataset) -> str:
    """Return the best items of each user as lines of ids and scores, best first."""
    lines = [
        f"{train.users.id(user)}\t{train.items.id(item)}\t{score:.6g}"
        for user, items, scores in zip(lists.users, lists.items, lists.scores, strict=True)
        for item, score in zip(items, scores, strict=True)
        if item >= 0
    ]
    return "\n".join(lines) + "\n"


def read_run(path: Path, train: Dataset, users: IntArray, length: int) -> tuple[IntArray, int]:
    """Read what another system ranked for some users.

    Args:
        path: lines of user, item and score, in any order; equal scores keep the order of lines.
        users: rows of the users that are measured, [B].
        length: maximum number of items of a list that are read, the best ones.

    Returns:
        item rows, best first, int64 [B, k], -1 for none, where k is the length, or as many items
        as there are; and how many of the users the run
        has.

    Raises:
        DataError: the file is missing, unreadable, malformed, or of other users.
    """
    found: dict[int, list[tuple[float, int]]] = {int(user): [] for user in users}
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split("\t")
        try:
            user, item, score = fields[0], fields[1], float(fields[2])
        except (IndexError, ValueError):
            score = math.nan
        if math.isnan(score):
            raise DataError(
                "a line of the run is not user<TAB>item<TAB>score",
                value=f"{path}:{number}: {line}",
                remedy="Write a number, and no header; --run-out shows the form.",
            )
        if user in train.users and item in train.items:
            rows = found.get(train.users.row(user))
            if rows is not None:
                rows.append((-score, train.items.row(item)))
    known = sum(map(bool, found.values()))
    if not known:
        raise DataError(
            "the run has none of the users that are measured",
            value=str(path),
            remedy="Compare runs on the same data, the same protocol and the same seed.",
        )
    length = min(length, train.num_items)
    top = np.full((len(users), length), -1, dtype=np.int64)
    for row, user in enumerate(users):
        ranked = sorted(found[int(user)], key=lambda pair: pair[0])
        best = list(dict.fromkeys(item for _, item in ranked))[:length]
        top[row, : len(best)] = best
    return top, known


def _lines(path: Path) -> list[str]:
    try:
        # Not splitlines: an id may hold a character, such as U+2028, that it treats as a line end.
        return [line for line in path.read_text(encoding="utf-8").split("\n") if line]
    except FileNotFoundError:
        raise DataError(
            "there is no such file", value=str(path), remedy="Check the path."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the file cannot be read ({error})", value=str(path)) from None


def check_writable(path: Path) -> None:
    """Raise DataError unless a file of this name can be written, before the work begins."""
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise DataError(
            "the file cannot be written",
            value=str(path),
            remedy="Name a file in a folder that exists and that you may write to.",
        )


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; raises DataError where that fails."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise DataError(f"the file cannot be written ({error})", value=str(path)) from None
