"""What is kept of one person: exported as one document, or erased, with a list of where it was.

Models hold items alone and no user, so they stay; what else lies in the home is searched.
"""

from __future__ import annotations

import json
import mmap
import re
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kgrec.config import Record, Settings
from kgrec.errors import ConfigError, NotFoundError
from kgrec.graph import open_graph
from kgrec.graph.embedded import restart
from kgrec.graph.store import GraphStore
from kgrec.schema import load_schema
from kgrec.stages.resolving.undoing import forget_user_of_merges
from kgrec.stages.retiring.restore import forget_user

LEAST_BYTES = 6
"""A shorter id occurs in files by chance, so that finding it there would mean nothing."""
_MOST_OTHERS = 1000
"""Where more ids than these contain the id, one cannot be distinguished from another in a file."""
_PAGE = 1000
_LATEST = 1 << 62
_WORD = re.compile(r"[^\s,;|\"'{}\[\]()]+")
Kind = Literal["graph", "log of the graph", "rejected rows", "checkpoint", "file"]


class Place(Record):
    """Where something of a person was looked for.

    Attributes:
        found: how often the id stands there after the erasure.
        removed: what was removed there: nodes, rows, or folders.
    """

    kind: Kind
    path: str
    found: int = 0
    removed: int = 0


class Erasure(Record):
    """What an erasure did.

    Attributes:
        searched: whether files were searched for the id, which is not possible of one that is
            short, or a part of a thousand others.
        files: how many files were searched.
        places: where something was removed, or is left.
    """

    user_id: str
    searched: bool
    files: int
    places: tuple[Place, ...]

    @property
    def left(self) -> tuple[Place, ...]:
        """The places that still hold the id."""
        return tuple(place for place in self.places if place.found)


def export_user(store: GraphStore, user_id: str) -> dict[str, Any]:
    """Return all that the graph holds of a user, as plain values.

    Raises:
        NotFoundError: there is no such user.
    """
    rows = store.read("serving/user", user_id=user_id)
    if not rows:
        raise NotFoundError("there is no such user", value=user_id)
    ties = store.read("admin/user_relations", user_id=user_id)
    return {
        "user_id": user_id,
        "properties": {name: _plain(value) for name, value in rows[0]["properties"].items()},
        "interactions": [
            {**row, "at": datetime.fromtimestamp(row["at"] / 1000, UTC).isoformat()}
            if row["at"]
            else {**row, "at": None}
            for row in _history(store, user_id)
        ],
        "relations": [
            {name: _plain(value) for name, value in row.items() if value is not None}
            for row in ties
        ],
    }


def erase_user(
    settings: Settings,
    user_id: str,
    *,
    restart_graph: bool = False,
    folders: Sequence[Path] = (),
) -> Erasure:
    """Erase a user from the graph and from the files of the home, and look for what is left.

    Args:
        restart_graph: end and start the embedded database, whose log of changes lasts until then;
            its users wait for some seconds.
        folders: are searched too, and nothing in them is changed: the data of a Neo4j, copies.

    Raises:
        NotFoundError: neither the graph nor any file knows the user.
        ConfigError: a folder is not there.
    """
    labels, home = load_schema().labels, settings.home
    for folder in folders:
        if not folder.exists():
            raise ConfigError("there is no such folder to search", value=str(folder))
    with open_graph(settings) as store:
        found = store.write("serving/erase_user", user_id=user_id)
        removed = int(found[0]["erased"]) if found else 0
        removed += (merged := forget_user_of_merges(store, user_id))
        if merged:
            store.dialect.forget_deleted(store, labels.merge, load_schema().core.keys[labels.merge])
        if retired := forget_user(store, user_id):
            removed += retired
            store.dialect.forget_deleted(
                store, labels.retired, load_schema().core.keys[labels.retired]
            )
        if removed:
            store.dialect.forget_deleted(store, labels.user, load_schema().core.keys[labels.user])
        rows = store.read("admin/ids_containing", id=user_id, limit=_MOST_OTHERS + 1)
    if restart_graph and settings.graph_uri is None:
        restart(home)
    places = [Place(kind="graph", path="", removed=removed)] if removed else []
    wanted, others = user_id.encode(), [str(row["id"]).encode() for row in rows]
    searched, files = len(wanted) >= LEAST_BYTES and len(others) <= _MOST_OTHERS, 0
    places += _without_rows(home, user_id)
    if searched:
        places += _without_checkpoints(home, wanted, others)
        for root in (home, *folders):
            for path, count in _search(root, wanted, others):
                files += 1
                if count:
                    log = root is home and path.suffix == ".wal"
                    kind: Kind = "log of the graph" if log else "file"
                    places.append(Place(kind=kind, path=str(path), found=count))
    if not places:
        raise NotFoundError("there is no such user", value=user_id)
    return Erasure(user_id=user_id, searched=searched, files=files, places=tuple(places))


def _history(store: GraphStore, user_id: str) -> Iterator[dict[str, Any]]:
    before, item, key = _LATEST, "", ""
    while True:
        rows = store.read(
            "serving/history",
            user_id=user_id,
            before=before,
            after_item=item,
            after_key=key,
            limit=_PAGE,
        )
        yield from rows
        if len(rows) < _PAGE:
            return
        before, item, key = (rows[-1][name] for name in ("at", "item_id", "key"))


def _without_rows(home: Path, user_id: str) -> list[Place]:
    """Remove rejected rows that name the user."""
    places = []
    for file in sorted(home.glob("rejects/*.jsonl")):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if user_id not in _words(line)]
        if len(kept) < len(lines):
            draft = file.with_suffix(".draft")
            draft.write_text("".join(kept), encoding="utf-8")
            draft.replace(file)
            gone = len(lines) - len(kept)
            places.append(Place(kind="rejected rows", path=str(file), removed=gone))
    return places


def _without_checkpoints(home: Path, wanted: bytes, others: Sequence[bytes]) -> list[Place]:
    """Remove checkpoints of trainings that read the user; the training then begins anew."""
    places = []
    for folder in sorted(home.glob("checkpoints/*")):
        if any(count for _, count in _search(folder, wanted, others)):
            shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
            places.append(Place(kind="checkpoint", path=str(folder), removed=1))
    return places


def _words(line: str) -> set[str]:
    """Return the cells of a rejected row."""
    value = str(json.loads(line).get("value", ""))
    return {value, *_WORD.findall(value)}


def _search(root: Path, wanted: bytes, others: Sequence[bytes]) -> Iterator[tuple[Path, int]]:
    """Yield each file at or below a path, and how often it holds the id, not within others."""
    for path in [root] if root.is_file() else sorted(root.rglob("*")):
        try:
            if path.is_file() and not path.is_symlink():
                yield path, _count(path, wanted, others)
        except FileNotFoundError:  # the database has just removed it
            continue
        except OSError as error:
            what = f"a file cannot be searched ({error.strerror})"
            raise ConfigError(what, value=str(path)) from None


def _count(path: Path, wanted: bytes, others: Sequence[bytes]) -> int:
    if not path.stat().st_size:
        return 0
    ways = [(other, at) for other in others for at in _positions(other, wanted)]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return sum(
            not any(text[at - n : at - n + len(other)] == other for other, n in ways if n <= at)
            for at in _positions(text, wanted)
        )


def _positions(text: bytes | mmap.mmap, wanted: bytes) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | None) else str(value)
