"""Makes the archive of the embedded server's classes: `python -m kgrec.graph.archive`.

A server of its own, over an empty graph in a temporary folder, runs what requests run, and writes
the classes it has loaded, and which methods it ran often, when it ends.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from kgrec.errors import KGRecError
from kgrec.graph.embedded import embedded_server
from kgrec.graph.home import GraphHome
from kgrec.graph.launch import ServerConfig, archive_of, package_folder
from kgrec.graph.processes import FileLock
from kgrec.graph.setup import ensure_schema
from kgrec.graph.statements import header_of
from kgrec.graph.store import GraphStore
from kgrec.schema import Statement, load_schema

_KEPT = 4
"""So many archives stay, the newest: those of other environments are in use as well."""
_READ = ("recommend", "serving", "export", "admin")
_ROUNDS = 3


def make() -> bool:
    """Make the archive of this machine where there is none; return whether there is one now.

    Where the Java runtime cannot make one, an empty file beside it keeps others from trying.
    """
    archive = archive_of(package_folder())
    failed = archive.with_suffix(".failed")
    archive.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(archive.with_suffix(".lock"))
    if failed.exists() or not lock.try_acquire():
        return False
    try:
        if archive.exists():
            return True
        with tempfile.TemporaryDirectory(prefix="kgrec-archive-") as folder:
            draft = archive.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            _record(Path(folder), draft)
            if not draft.exists():
                failed.touch()
                return False
            draft.replace(archive)
        for old in sorted(archive.parent.glob("*.aot"), key=_age)[:-_KEPT]:
            old.unlink(missing_ok=True)
        return True
    finally:
        lock.release()


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _record(home: Path, draft: Path) -> None:
    config = ServerConfig(archive=False, record=str(draft), stop_timeout=300.0)
    with embedded_server(home, config) as address:
        try:
            with GraphStore(address) as store:
                ensure_schema(store)
                rehearse(store)
        except BaseException:  # as when this is to end: to write the archive would take long
            _kill(GraphHome.below(home))
            raise


def _kill(place: GraphHome) -> None:
    state = place.read_state()
    for pid in () if state is None else (state.supervisor, state.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def rehearse(store: GraphStore) -> None:
    """Run the statements of requests over a graph of two items, each a few times."""
    schema = load_schema()
    domain = next(iter(schema.domains.values()))
    store.write("ingest/create_items", {"item_type": domain.item_label}, items=["a", "b"])
    feedback = _parameters(schema.statement("serving/record_feedback"))
    for number in range(_ROUNDS):
        known = {"item_id": "ab"[number % 2], "key": str(number), "value": 1.0}
        store.write("serving/record_feedback", **feedback | known)
        for name, statement in schema.statements.items():
            if name.split("/")[0] in _READ:
                with suppress(KGRecError):  # some write, or need an index that is not there
                    store.read(name, _slots(statement), **_parameters(statement))


def _slots(statement: Statement) -> dict[str, str]:
    return {slot.strip("_").lower(): "Item" for slot in statement.slots}


def _parameters(statement: Statement) -> dict[str, Any]:
    described = header_of(statement).described
    return {name: _example(described.get(f"${name}", "")) for name in statement.parameters}


def _example(kind: str) -> Any:
    """Return a value of the type that a header names."""
    if kind.startswith("list of strings"):
        return ["a", "b"]
    if kind.startswith("list"):
        return []
    if kind.startswith(("integer", "float", "number")):
        return 10
    if kind.startswith("map"):
        return {}
    if kind.startswith("boolean"):
        return True
    return datetime.now(UTC) if kind.startswith("datetime") else "u"


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)


if __name__ == "__main__":
    os.nice(19)
    signal.signal(signal.SIGTERM, _end)
    sys.exit(0 if make() else 1)
