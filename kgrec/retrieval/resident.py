"""Keeps the catalogue in memory and exchanges it, behind the requests, when the graph changes."""

from __future__ import annotations

import logging
import threading
import time

from kgrec.errors import KGRecError
from kgrec.graph.store import GraphStore
from kgrec.retrieval.snapshot import Snapshot, read_revision, read_snapshot

logger = logging.getLogger("kgrec.retrieval")

LASTS_S = 300.0
"""Seconds after which the catalogue is read again though its revision has not changed: what
others write into the graph by Cypher of their own may not have counted."""


class Resident:
    """The catalogue in memory; safe to share between threads.

    No request waits for it: while what is in memory is out of date, requests ask the graph.

    Args:
        store: the graph.
    """

    def __init__(self, store: GraphStore) -> None:
        self.store = store
        self._lock = threading.Lock()  # of the fields below; never held while the graph is read
        self._kept: Snapshot | None = None
        self._read_at = 0.0
        self._reading = False
        self._hits, self._misses = 0, 0

    def at(self, revision: int) -> Snapshot | None:
        """Return the catalogue where it is as of a revision; else have it read, and return None."""
        with self._lock:
            kept, age = self._kept, time.monotonic() - self._read_at
            current = kept is not None and kept.revision == revision
            self._hits, self._misses = self._hits + current, self._misses + (not current)
            if (current and age < LASTS_S) or self._reading:
                return kept if current else None
            self._reading = True
        thread = threading.Thread(target=self._refresh, name="read the catalogue", daemon=True)
        thread.start()
        return kept if current else None

    def before(self) -> Snapshot | None:
        """Return the catalogue in memory, of whichever revision."""
        with self._lock:
            return self._kept

    def hits_and_misses(self) -> tuple[int, int]:
        """Return how often the catalogue in memory was that of the revision, and how often not."""
        with self._lock:
            return self._hits, self._misses

    def load(self) -> Snapshot:
        """Read the catalogue and return it; what a graph answers badly is raised."""
        with self._lock:
            self._reading = True  # so that no request has it read beside this
        try:
            return self._read()
        finally:
            with self._lock:
                self._reading = False

    def _read(self) -> Snapshot:
        snapshot = read_snapshot(self.store)
        snapshot.warm_up()
        self.keep(snapshot)
        return snapshot

    def keep(self, snapshot: Snapshot) -> None:
        """Begin with a catalogue that has been read before."""
        with self._lock:
            self._kept, self._read_at = snapshot, time.monotonic()

    def _refresh(self) -> None:
        """Read the catalogue until it is that of the graph, with rests as long as the reading."""
        try:
            while True:
                begun = time.monotonic()
                if self._read().revision == read_revision(self.store):
                    break
                time.sleep(min(max(0.05, time.monotonic() - begun), 10.0))
        except KGRecError as error:  # the requests go to the graph, and meet the same error there
            logger.info("the catalogue could not be read: %s", error)
        finally:
            with self._lock:
                self._reading = False
