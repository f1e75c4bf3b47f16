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
    from kgrec.text.pipeline import Extractor

logger = logging.getLogger("kgrec.fold")

NAMES_LAST_S = 600.0
"""Seconds after which the names that texts are searched for are read again, between changes."""
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
        self._extractor: tuple[float, str, Extractor] | None = None

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
        """Read the texts of items where they are new; return the number of facts and links."""
        try:
            extractor = self.extractor(domain_name)
            from kgrec.stages.extract import extract  # a server may lack what parses texts
        except (ModelError, ImportError) as error:
            logger.warning("texts of new items are not read for facts: %s", error)
            return 0
        domain = load_schema().domain(domain_name)
        found = extract(self._store, domain, items=items, extractor=extractor, progress=progress)
        return sum(found.facts.values())

    def extractor(self, name: str) -> Extractor:
        """Return what reads texts of a domain, with the names read last; raises ModelError."""
        if self._extractor is None or self._extractor[1] != name:
            self._extractor = time.monotonic(), name, self._built(name)
        return self._extractor[2]

    def renew(self) -> bool:
        """Read the names again where they are old; tell whether they were."""
        if self._extractor is None or time.monotonic() - self._extractor[0] <= NAMES_LAST_S:
            return False
        name = self._extractor[1]
        self._extractor = time.monotonic(), name, self._built(name)
        return True

    def _built(self, name: str) -> Extractor:
        if self._own_process:
            _import_spacy_alone()
        from kgrec.stages.extract import ExtractConfig
        from kgrec.stages.known_names import known_names
        from kgrec.text.pipeline import Extractor

        domain = load_schema().domain(name)
        names = known_names(self._store, domain)
        return Extractor(domain, names=names, model=ExtractConfig().model)


def _import_spacy_alone() -> None:
    """Import spaCy without torch, which its layers of numbers import wherever it is installed."""
    if "torch" in sys.modules or "spacy" in sys.modules:
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import spacy  # noqa: F401
    finally:
        del sys.modules["torch"]
