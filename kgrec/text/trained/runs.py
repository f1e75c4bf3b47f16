"""A file of texts read to a file of predictions, in a stream that goes on where it was killed.

The texts are read in batches. Behind each one the output is written through, and then a checkpoint
beside it, in one step: how far the input was read, and how long the output was. The next run by the
same extractor of the same input cuts the output to that length and goes on, so that no line is lost
and none is written twice. A batch depends on no other, so the output is that of one run.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import torch
from pydantic import ValidationError

from kgrec.config import FrozenModel
from kgrec.data.rejects import Reject
from kgrec.errors import DataError
from kgrec.progress import SILENT, Progress
from kgrec.text.trained.extractor import text_batches
from kgrec.text.trained.lines import (
    LabelledText,
    ParsedLine,
    as_object,
    check_share,
    parsed_lines,
)

_KEPT_REJECTS = 100


class RunSummary(FrozenModel):
    """What a run did.

    Attributes:
        texts, entities, relations: of the whole file.
        resumed_at: texts that an earlier run had read.
        rejected_lines: lines of the input that cannot be used.
        rejects: the first of them.
        texts_per_second: of this run, the loading of the extractor left out but where workers of
            Ray load it.
    """

    texts: int
    entities: int
    relations: int
    resumed_at: int
    rejected_lines: int
    rejects: tuple[Reject, ...]
    seconds: float
    texts_per_second: float


class FileReader(Protocol):
    """What reads the texts of a file: a `TrainedExtractor`, or workers that have one each.

    Attributes:
        version: of the extractor.
        device: where it runs.
    """

    version: str
    device: torch.device

    def read_batches(
        self, batches: Iterable[list[LabelledText]]
    ) -> Iterator[tuple[list[LabelledText], list[LabelledText]]]:
        """Yield batches, in their order, with what was found in their texts."""


class _Checkpoint(FrozenModel):
    """How far a run is: end and number of the last line read, length of the output, counts."""

    key: str
    offset: int = 0
    number: int = 0
    length: int = 0
    texts: int = 0
    entities: int = 0
    relations: int = 0


def run_file(
    extractor: FileReader, source: Path, output: Path, *, progress: Progress = SILENT
) -> RunSummary:
    """Read the texts of a file, and write them with what was found in them.

    Raises:
        DataError: a file cannot be read or written, or most lines of the input are bad.
    """
    begun = time.perf_counter()
    if output.exists() and source.exists() and output.samefile(source):
        remedy = "Give another file for the output."
        raise DataError("the input would be overwritten", value=str(output), remedy=remedy)
    texts, rejected, rejects = _surveyed(source)
    place = output.with_name(f".{output.name}-run.json")
    at = first = _checkpoint(place, _key(extractor, source), output)
    try:
        with (
            output.open("r+b" if first.length else "wb") as file,
            progress.task("read", total=texts) as task,
        ):
            file.truncate(first.length)
            file.seek(first.length)
            task.advance(first.texts)
            for reached in _written(extractor, source, file, first):
                _replace(place, reached)
                task.advance(reached.texts - at.texts)
                at = reached
    except OSError as error:
        raise DataError(
            f"the file cannot be written ({error.strerror})", value=str(output)
        ) from None
    place.unlink(missing_ok=True)
    seconds = time.perf_counter() - begun
    return RunSummary(
        texts=at.texts,
        entities=at.entities,
        relations=at.relations,
        resumed_at=first.texts,
        rejected_lines=rejected,
        rejects=tuple(rejects),
        seconds=round(seconds, 2),
        texts_per_second=round((at.texts - first.texts) / seconds, 1),
    )


def _written(
    extractor: FileReader, source: Path, file: BinaryIO, at: _Checkpoint
) -> Iterator[_Checkpoint]:
    """Write the predictions of each batch; yield where the run is behind it."""
    ends: list[ParsedLine] = []

    def usable() -> Iterator[LabelledText]:
        options = {"offset": at.offset, "number": at.number}
        for line in parsed_lines(source, labelled=False, **options):
            if not isinstance(line.content, Reject):
                ends.append(line)
                yield line.content

    texts, entities, relations = at.texts, at.entities, at.relations
    for batch, found in extractor.read_batches(text_batches(usable())):
        for one in found:
            line = json.dumps(as_object(one), ensure_ascii=False)
            file.write(f"{line}\n".encode("utf-8", "surrogatepass"))
            texts += 1
            entities += len(one.entities)
            relations += len(one.relations)
        file.flush()
        os.fsync(file.fileno())
        last = ends[len(batch) - 1]
        del ends[: len(batch)]
        yield _Checkpoint(
            key=at.key,
            offset=last.end,
            number=last.number,
            length=file.tell(),
            texts=texts,
            entities=entities,
            relations=relations,
        )


def _surveyed(source: Path) -> tuple[int, int, list[Reject]]:
    """Return how many lines of a file are usable and how many are not, and the first of these."""
    texts = rejected = 0
    rejects: list[Reject] = []
    for line in parsed_lines(source, labelled=False):
        if isinstance(line.content, Reject):
            rejected += 1
            if len(rejects) < _KEPT_REJECTS:
                rejects.append(line.content)
        else:
            texts += 1
    check_share(source, texts, rejected, rejects[0] if rejects else None)
    return texts, rejected, rejects


def _key(extractor: FileReader, source: Path) -> str:
    """Return a hash of what the output depends on."""
    with source.open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    parts = (extractor.version, str(extractor.device), content)
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _checkpoint(place: Path, key: str, output: Path) -> _Checkpoint:
    """Return where a killed run was; the beginning where there is none that this one continues."""
    start = _Checkpoint(key=key)
    try:
        found = _Checkpoint.model_validate_json(place.read_bytes())
        fits = found.key == key and output.stat().st_size >= found.length
    except (OSError, ValidationError):
        return start
    return found if fits else start


def _replace(place: Path, at: _Checkpoint) -> None:
    draft = place.with_name(f"{place.name}.new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(at.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, place)
