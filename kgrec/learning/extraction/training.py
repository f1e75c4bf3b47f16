"""Training of an extractor: labelled files in, a folder with networks and their record out."""

from __future__ import annotations

import hashlib
import json
import logging
import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import nn

from kgrec.config import FrozenModel
from kgrec.errors import DataError
from kgrec.learning.extraction.examples import LabelledExamples, read_examples
from kgrec.learning.extraction.fitting import Fitting, FittingConfig
from kgrec.learning.extraction.measuring import measured
from kgrec.model.checkpoint import writing_directory
from kgrec.progress import SILENT, Progress
from kgrec.text.models import SENTENCE_MODEL, SPACY_MODEL, content_key, resolve_transformer
from kgrec.text.trained.batches import LabelSets
from kgrec.text.trained.decoding import Decoder
from kgrec.text.trained.extractor import default_device, feature_reader
from kgrec.text.trained.known import ColumnNames
from kgrec.text.trained.lines import LabelledText, as_object
from kgrec.text.trained.network import ExtractionNetwork, NetworkConfig
from kgrec.text.trained.record import NAMES, ExtractorRecord, write_member, write_record

logger = logging.getLogger(__name__)


class TrainingConfig(FrozenModel):
    """How an extractor is trained.

    Attributes:
        encoder, spacy: names of the transformer and of the spaCy pipeline.
        beside: a further transformer that is not trained, such as a small language model; the
            states in the middle of it are read too.
        seed: of the first network; the others have the next ones.
        seeds: how many networks are fitted; their probabilities are averaged.
        minutes: bound on the time of all; epochs are cut to what fits.
        threshold: probability from which on a relation is stated.
        held_out: share of the training texts that take the place of a development file.
        device: `cpu`, `cuda`, or None for a GPU where there is one.
    """

    encoder: str = SENTENCE_MODEL
    spacy: str = SPACY_MODEL
    beside: str | None = None
    seed: int = 0
    seeds: int = Field(default=3, ge=1, le=20)
    minutes: float | None = Field(default=25.0, gt=0)
    threshold: float = Field(default=0.5, gt=0, lt=1)
    held_out: float = Field(default=0.1, gt=0, lt=1)
    device: str | None = None
    network: NetworkConfig = NetworkConfig()
    fitting: FittingConfig = FittingConfig()


class TrainedSummary(FrozenModel):
    """What a training did.

    Attributes:
        moved, dropped, lost: labels of the training texts beside the borders of words, entities
            that overlap others, and relations that could not be learned from.
        epochs: of each network.
        resumed: whether it went on from a checkpoint.
    """

    record: ExtractorRecord
    texts: int
    windows: int
    moved: int
    dropped: int
    lost: int
    epochs: tuple[int, ...]
    resumed: bool
    seconds: float


def train_extractor(
    train: Sequence[LabelledText],
    dev: Sequence[LabelledText] | None,
    out: Path,
    config: TrainingConfig | None = None,
    *,
    names: ColumnNames | None = None,
    progress: Progress = SILENT,
) -> TrainedSummary:
    """Train networks on labelled texts, calibrate and score them on others, and write a folder.

    No choice is made by the development texts: they calibrate the confidences, which changes no
    prediction, and give the score. A training that was stopped goes on where it was, if texts and
    settings are the same; its checkpoints lie beside the folder.

    Args:
        dev: None holds out a part of the training texts.
        names: what the columns of the catalogue hold; the labels of the texts come
            from the same columns.
        out: the folder; one that is there is replaced at the end.

    Raises:
        DataError: the training texts have no entity.
        ModelError: a model is not found, or the folder cannot be written.
    """
    config = config or TrainingConfig()
    begun = time.monotonic()
    if dev is None:
        train, dev = _split(train, config)
    device = config.device or default_device()
    tuned = config.network.tuned
    models = config.encoder, config.spacy, device
    reader = feature_reader(*models, tuned=tuned, beside=config.beside)
    examples = read_examples(reader, train, progress, names)
    known = LabelSets.of(examples.windows)
    if not known.entities:
        raise DataError("the training texts have no entity", remedy="Label some; see docs.")
    record = _record(config, known, reader.layers, reader.size, reader.state_size)
    record = record.model_copy(update={"names": names.digest if names else None})
    place = out.with_name(f".{out.name}-training")
    resumed = _claim(place, _key(train, config, record.names))
    networks, epochs = _fit(examples, record, reader.upper, config, place, device, begun, progress)
    held = read_examples(reader, dev, progress, names)
    record = measured(record, Decoder(networks, known), dev, held)
    with writing_directory(out) as folder:
        members = [write_member(folder, i, one, config.seed + i) for i, one in enumerate(networks)]
        record = record.model_copy(update={"members": tuple(members)})
        if names is not None:
            names.save(folder / NAMES)
        write_record(folder, record)
    shutil.rmtree(place, ignore_errors=True)
    return TrainedSummary(
        record=record,
        texts=len(train),
        windows=len(examples.windows),
        moved=examples.moved,
        dropped=examples.dropped,
        lost=examples.lost,
        epochs=epochs,
        resumed=resumed,
        seconds=time.monotonic() - begun,
    )


def _fit(
    examples: LabelledExamples,
    record: ExtractorRecord,
    upper: Callable[[], Sequence[nn.Module]],
    config: TrainingConfig,
    place: Path,
    device: str,
    begun: float,
    progress: Progress,
) -> tuple[list[ExtractionNetwork], tuple[int, ...]]:
    networks: list[ExtractionNetwork] = []
    epochs: list[int] = []
    for i in range(config.seeds):
        fitting = Fitting(
            examples.windows,
            record.known,
            lambda: ExtractionNetwork(record.network, record.sizes, upper()),
            config.fitting,
            seed=config.seed + i,
            device=torch.device(device),
            checkpoint=place / f"network-{i}.safetensors",
        )
        left = None
        if config.minutes is not None:
            left = (config.minutes * 60 - (time.monotonic() - begun)) / (config.seeds - i)
        name = f"fit network {i + 1} of {config.seeds}"
        networks.append(fitting.run(seconds=left, progress=progress, name=name))
        epochs.append(fitting.epochs)
        if fitting.epochs < fitting.wanted:
            logger.warning("cut to %d of %d epochs by the time", fitting.epochs, fitting.wanted)
    return networks, tuple(epochs)


def _record(
    config: TrainingConfig, known: LabelSets, layers: int, size: int, states: int
) -> ExtractorRecord:
    return ExtractorRecord(
        encoder=config.encoder,
        encoder_content=content_key(resolve_transformer(config.encoder)),
        spacy=config.spacy,
        beside=config.beside,
        beside_content=content_key(resolve_transformer(config.beside)) if config.beside else None,
        network=config.network,
        sizes=known.sizes(layers, size, states),
        entities=known.entities,
        relations=known.relations,
        tags=tuple(dict(kind) for kind in known.tags),
        fitting=tuple(
            (head, tail, tuple(sorted(labels)))
            for (head, tail), labels in sorted(known.fitting.items())
        ),
        threshold=config.threshold,
        training=config.model_dump(mode="json", exclude={"network", "encoder", "spacy", "beside"}),
        members=(),
    )


def _split(
    texts: Sequence[LabelledText], config: TrainingConfig
) -> tuple[list[LabelledText], list[LabelledText]]:
    order = list(range(len(texts)))
    random.Random(config.seed).shuffle(order)  # noqa: S311 - no secret
    held = set(order[: max(1, round(len(texts) * config.held_out))])
    return (
        [one for i, one in enumerate(texts) if i not in held],
        [one for i, one in enumerate(texts) if i in held],
    )


def _key(texts: Sequence[LabelledText], config: TrainingConfig, names: str | None) -> str:
    """Return a hash of what the weights depend on."""
    digest = hashlib.blake2b(config.model_dump_json(exclude={"minutes"}).encode(), digest_size=16)
    digest.update((names or "").encode())
    for one in texts:
        digest.update(json.dumps(as_object(one)).encode())
    return digest.hexdigest()


def _claim(place: Path, key: str) -> bool:
    """Make the folder of checkpoints ready; return whether it holds some of the same training."""
    mark = place / "key"
    if mark.is_file() and mark.read_text(encoding="utf-8") == key:
        return any(place.glob("*.safetensors"))
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    mark.write_text(key, encoding="utf-8")
    return False
