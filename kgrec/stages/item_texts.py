"""What reads the texts of items that came, or changed, after the training: kept in memory."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgrec.config import parse_config
from kgrec.data.dataset import FloatArray
from kgrec.errors import ModelError
from kgrec.graph.store import GraphStore
from kgrec.model.folding.inductive import Encode
from kgrec.progress import SILENT, Progress
from kgrec.schema import load_schema
from kgrec.text.bert import numpy_encoder
from kgrec.text.models import SENTENCE_MODEL

if TYPE_CHECKING:
    from kgrec.stages.kept_reading import KeptReading
    from kgrec.stages.reading import ReadyReading
    from kgrec.text.sources.chosen import Components

logger = logging.getLogger("kgrec.fold")

NAMES_LAST_S = 600.0
"""Seconds after which the names that texts are searched for are read again, between changes."""
SECONDS = 10.0
"""After which the texts that are left wait, so that those that were read are folded in first."""
ITEMS_AT_ONCE = 16
_ENCODER = ("encoder", "device")


class ItemTexts:
    """Encodes the texts of items and reads them for facts.

    Args:
        store: the graph.
        home: vectors of texts are kept below it.
        own_process: whether the process does nothing else; see `kgrec.stages.fold.Folder`.
    """

    def __init__(self, store: GraphStore, home: Path, *, own_process: bool = False) -> None:
        self._store, self._home, self._own_process = store, home, own_process
        self.unread: frozenset[str] = frozenset()
        """Items whose texts wait for the next call, since the time was up."""
        self._opened: tuple[str, KeptReading, ReadyReading | None] | None = None
        self._named = 0.0

    def encoder(self, config: Mapping[str, Any]) -> Encode:
        """Return the text encoder that a team was trained with, loaded when it is first used."""
        name = str(config.get("encoder", SENTENCE_MODEL))
        cache_dir = self._home / "cache" / "vectors"

        def encode(texts: Sequence[str]) -> FloatArray:
            try:
                found = numpy_encoder(name, cache_dir)
            except ImportError:  # the package that cuts texts into tokens
                found = None
            if found is not None:
                return found(texts)
            # Imports torch, which a team that reads no texts does not need.
            from kgrec.learning.team_config import TeamConfig, encoder_of

            own = {name: each for name, each in config.items() if name in _ENCODER}
            settings = parse_config(TeamConfig, own, origin="settings of the live model")
            return encoder_of(settings, cache_dir=cache_dir)(texts)

        return encode

    def extract(self, domain_name: str, items: Sequence[str], progress: Progress = SILENT) -> int:
        """Read the texts of items where they are new; return the number of facts and links.

        What is left when the time is up is in `unread`.
        """
        self.unread -= set(items)
        try:
            ready = self.reading(domain_name)
            from kgrec.stages.extract import ExtractConfig, extract  # a server may lack the parser
        except (ModelError, ImportError) as error:
            logger.warning("texts of new items are not read for facts: %s", error)
            return 0
        if ready is None:
            return 0
        found = extract(
            self._store,
            ready.parts.domain,
            ExtractConfig(items_a_write=ITEMS_AT_ONCE, batch_size=ITEMS_AT_ONCE),
            items=items,
            ready=ready,
            progress=progress,
        )
        self.unread |= set(found.unread)
        return sum(found.facts.values())

    def reading(self, name: str) -> ReadyReading | None:
        """Return what reads texts of a domain, as `kgrec extract` read last.

        Models stay in memory until it reads otherwise, names until `renew`.

        Returns:
            None where a server has no component that reads.

        Raises:
            ModelError: the spaCy pipeline is not found.
        """
        if self._own_process:
            _import_spacy_alone()
        from kgrec.stages.kept_reading import components_of_server, kept_reading

        domain = load_schema().domain(name)
        kept = kept_reading(self._home, domain)
        if self._opened is None or self._opened[:2] != (name, kept):
            parts = components_of_server(domain, kept.settings)
            self._opened = name, kept, self._with_names(parts, kept.version)
        return self._opened[2]

    def renew(self) -> bool:
        """Read the names again where they are old; tell whether they were."""
        if self._opened is None or time.monotonic() - self._named <= NAMES_LAST_S:
            return False
        name, kept, ready = self._opened
        self._opened = (
            name,
            kept,
            self._with_names(None if ready is None else ready.parts, kept.version),
        )
        return True

    def _with_names(self, parts: Components | None, version: str) -> ReadyReading | None:
        """Return components with the names that the graph has now."""
        from kgrec.stages.known_names import known_names, known_spellings
        from kgrec.stages.reading import ReadyReading

        self._named = time.monotonic()
        if parts is None:
            return None
        domain = parts.domain
        extractor = parts.extractor(
            lambda: known_names(self._store, domain), lambda: known_spellings(self._store, domain)
        )
        return ReadyReading(parts, extractor, (version,) if version else (), SECONDS)


def _import_spacy_alone() -> None:
    """Import spaCy without torch, which its layers of numbers import wherever it is installed."""
    if "torch" in sys.modules or "spacy" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import spacy  # noqa: F401
    finally:
        del sys.modules["torch"]
