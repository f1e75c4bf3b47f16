"""A trained extractor that workers of a Ray cluster read with, each with one of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

from kgrec.text.cluster import ray_cluster
from kgrec.text.trained.extractor import TrainedExtractor, default_device
from kgrec.text.trained.lines import LabelledText
from kgrec.text.trained.record import read_record
from kgrec.text.workers import RayWorkers

Batch = list[LabelledText]


class SpreadExtractor:
    """Reads batches of texts by workers; finds what a `TrainedExtractor` finds in them.

    Args:
        workers: whose readers have the extractor.

    Attributes:
        version: of the extractor.
        device: where each worker runs it.
    """

    def __init__(self, workers: RayWorkers[Batch, Batch], version: str, device: str) -> None:
        self._workers = workers
        self.version, self.device = version, torch.device(device)

    def read_batches(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Batch]]:
        """Yield batches of `text_batches`, in their order, with what was found in their texts."""
        return self._workers.map(batches)


@contextmanager
def spread_extractor(
    folder: Path,
    *,
    device: str | None = None,
    address: str | None = None,
    processes: int | None = None,
) -> Iterator[SpreadExtractor]:
    """Have workers that read with a trained extractor inside the block.

    Args:
        folder: of `kgrec extract train`; every machine of the cluster must have it there.
        device: as of `TrainedExtractor`; that of this process when absent.
        address, processes: as of `kgrec.text.cluster.ray_cluster`.

    Raises:
        ModelError: the folder cannot be used.
        ClusterError: there is no cluster, or its workers fail.
    """
    version, place = read_record(folder).version, device or default_device()
    with ray_cluster(address, processes) as count:
        workers: RayWorkers[Batch, Batch] = RayWorkers(
            partial(_Reader, folder, place),
            version=version,
            count=count,
            named=_named,
            gpu=place.startswith("cuda"),
        )
        try:
            yield SpreadExtractor(workers, version, place)
        finally:
            workers.close()


class _Reader:
    """What a worker reads labelled texts with."""

    def __init__(self, folder: Path, device: str) -> None:
        self._extractor = TrainedExtractor(folder, device=device)
        self.version = self._extractor.version

    def __call__(self, batch: Batch) -> Batch:
        return list(self._extractor.read_batch(batch))


def _named(batch: Batch) -> str:
    first, last = batch[0].id, batch[-1].id
    return first if len(batch) == 1 else f"{len(batch)} texts, {first} to {last}"
