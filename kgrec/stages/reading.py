"""How the texts of items are read: in this process and others beside it, or by workers of Ray.

Both read the same batches by the same code, so they find the same. The graph is read and written by
this process alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Literal

from pydantic import Field

from kgrec.schema import Domain
from kgrec.text.cluster import ray_cluster
from kgrec.text.languages import is_english
from kgrec.text.pipeline import ItemText, TextFact, item_batches
from kgrec.text.sources.chosen import (
    Components,
    ComponentSettings,
    SentenceReader,
    open_components,
    without_facts,
)
from kgrec.text.sources.fusion import FusionCounts, ReadText, TextFinding, joined, read_beside
from kgrec.text.sources.prompted import UsesLanguageModel
from kgrec.text.spellings import Spellings
from kgrec.text.workers import RayWorkers

Names = Mapping[str, Sequence[str]]
Found = tuple[list[list[TextFact]], list[list[TextFinding]]]
"""Facts of the spaCy pipeline of each text; of each component beside it, what it finds in each."""
ReadTexts = Callable[[Iterable[ItemText]], Iterator[ReadText]]


class ReadingConfig(ComponentSettings):
    """By what texts are read, where, and how many at once.

    Attributes:
        engine: `local`, or `ray`: workers of a Ray cluster.
        processes: how many read at once; when absent one, or with Ray as many as the cluster has
            processors. More than one pays from about a thousand texts.
        batch_size: texts that are read together.
    """

    engine: Literal["local", "ray"] = "local"
    processes: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=1)


@dataclass(frozen=True)
class ReadyReading:
    """What was opened before and reads in this process.

    Attributes:
        extractor: the spaCy pipeline, or what stands for it in another language.
        as_good: other versions; what was read by one of them is not read again.
        seconds: after which no further batch is read.
    """

    parts: Components
    extractor: SentenceReader | None
    as_good: tuple[str, ...] = ()
    seconds: float = inf


@contextmanager
def text_reading(
    parts: Components,
    config: ReadingConfig,
    counts: FusionCounts,
    *,
    names: Callable[[], Names],
    spellings: Callable[[], Spellings],
    ready: ReadyReading | None = None,
    ray_address: str | None = None,
) -> Iterator[ReadTexts]:
    """Have what reads texts ready inside the block.

    Args:
        counts: what was found is added to them.
        names, spellings: read what is known, where it is needed.
        ready: what has been opened before; it reads in this process.
        ray_address: as of `kgrec.text.cluster.ray_cluster`.

    Raises:
        ModelError: a model is not found.
        ClusterError: there is no cluster, or its workers fail.
    """
    spread = parts.spread if config.engine == "ray" and ready is None else None
    if spread is None:
        own = parts.extractor(names, spellings) if ready is None else ready.extractor
        yield partial(_read_here, own, parts, config, counts)
        return
    english, active = is_english(config.language), spread.settings.active
    make = partial(
        _Reader,
        spread.domain,
        spread.settings,
        names() if english and "names" in active else {},
        {} if english or not spread.settings.reads_sentences else spellings(),
        config.batch_size,
    )
    with ray_cluster(ray_address, config.processes) as count:
        workers: RayWorkers[list[ItemText], Found] = RayWorkers(
            make, version=spread.version, count=count, named=_named, gpu=_uses_gpu(active)
        )
        try:
            yield partial(_read_there, workers, parts, config, counts)
        finally:
            workers.close()


def _read_here(
    extractor: SentenceReader | None,
    parts: Components,
    config: ReadingConfig,
    counts: FusionCounts,
    texts: Iterable[ItemText],
) -> Iterator[ReadText]:
    reading = without_facts(texts)
    if extractor is not None:
        reading = extractor.read(
            texts, n_process=config.processes or 1, batch_size=config.batch_size
        )
    return read_beside(
        reading, parts.sources, parts.domain, counts, config.batch_size, parts.mentions
    )


def _read_there(
    workers: RayWorkers[list[ItemText], Found],
    parts: Components,
    config: ReadingConfig,
    counts: FusionCounts,
    texts: Iterable[ItemText],
) -> Iterator[ReadText]:
    for items, (stated, elsewhere) in workers.map(item_batches(texts, config.batch_size)):
        theirs = iter(elsewhere)
        found = [
            source.find(items) if isinstance(source, UsesLanguageModel) else next(theirs)
            for source in parts.sources
        ]
        yield from joined(items, stated, found, parts.domain, counts, parts.mentions)


class _Reader:
    """What a worker reads items with."""

    def __init__(
        self,
        domain: Domain,
        settings: ComponentSettings,
        names: Names,
        spellings: Spellings,
        batch_size: int,
    ) -> None:
        parts = open_components(domain, settings)
        self.version = parts.version
        self._sources, self._batch_size = parts.sources, batch_size
        self._extractor = parts.extractor(lambda: names, lambda: spellings)

    def __call__(self, batch: list[ItemText]) -> Found:
        reading = without_facts(batch)
        if self._extractor is not None:
            reading = self._extractor.read(batch, batch_size=self._batch_size)
        stated = [facts for _, facts in reading]
        return stated, [source.find(batch) for source in self._sources]


def _named(batch: list[ItemText]) -> str:
    first, last = batch[0].item_id, batch[-1].item_id
    return first if len(batch) == 1 else f"{len(batch)} items, {first} to {last}"


def _uses_gpu(active: Sequence[str]) -> bool:
    """Whether a trained extractor would read by a GPU in this process."""
    if "trained" not in active:
        return False
    from kgrec.text.trained.extractor import default_device  # imports torch

    return default_device() == "cuda"
