"""A trained extractor: texts in, entities and relations with confidence out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from kgrec.errors import ModelError
from kgrec.text.encoder import load_transformer
from kgrec.text.models import content_key, resolve_transformer
from kgrec.text.pipeline import batches_of, load_spacy, pieces
from kgrec.text.trained.beside import FurtherStates
from kgrec.text.trained.calibration import PlattScale
from kgrec.text.trained.decoding import Decoder, ScoredWindow
from kgrec.text.trained.features import FeatureReader, Window
from kgrec.text.trained.lines import LabelledRelation, LabelledSpan, LabelledText
from kgrec.text.trained.record import ExtractorRecord, read_names, read_networks, read_record

logger = logging.getLogger(__name__)

TEXTS = 256
"""Texts of a batch."""
_WINDOWS = 32
_UNUSED = ("senter", "lemmatizer", "attribute_ruler", "textcat")


class TrainedExtractor:
    """Reads texts with a trained extractor.

    Args:
        folder: of `kgrec extract train`.
        device: `cpu`, `cuda`, or None for a GPU where there is one.

    Attributes:
        record: what its folder records of it.
        version: a hash of all that the predictions depend on.
        device: where it runs.
        names: that are marked in the texts.
        reader, decoder: what turns texts into windows, and windows into entities and relations.

    Raises:
        ModelError: the folder or one of the models that it names cannot be used.
    """

    def __init__(self, folder: Path, *, device: str | None = None) -> None:
        self.record = read_record(folder)
        self.version = self.record.version
        place = self.device = torch.device(device or default_device())
        _check_encoder(self.record)
        self.names = read_names(folder, self.record)
        self.reader = feature_reader(
            self.record.encoder,
            self.record.spacy,
            str(place),
            tuned=self.record.network.tuned,
            beside=self.record.beside,
        )
        networks = read_networks(folder, self.record, place, self.reader.upper)
        self.decoder = Decoder(networks, self.record.known, fixed=True)

    def read(self, texts: Iterable[LabelledText]) -> Iterator[LabelledText]:
        """Yield texts, in their order, with what was found in them in place of their labels."""
        for batch in text_batches(texts):
            yield from self.read_batch(batch)

    def read_batches(
        self, batches: Iterable[list[LabelledText]]
    ) -> Iterator[tuple[list[LabelledText], list[LabelledText]]]:
        """Yield batches of `text_batches`, in their order, with what was found in their texts."""
        for batch in batches:
            yield batch, list(self.read_batch(batch))

    def read_batch(self, batch: Sequence[LabelledText]) -> Iterator[LabelledText]:
        """Yield the texts of a batch of `text_batches` with what was found in them.

        A text that is longer than `PIECE` is read in pieces, so that a book takes little memory.
        """
        parts = [(i, *place) for i, one in enumerate(batch) for place in pieces(one.text, PIECE)]
        scored: list[list[tuple[Window, ScoredWindow]]] = [[] for _ in batch]
        for group in batches_of(parts, lambda part: part[2] - part[1], longest=_AT_ONCE):
            texts = [batch[i].text[start:end] for i, start, end in group]
            found = list(self.reader.read(texts))
            if self.names is not None:
                found = list(map(self.names.marked, found, texts))
            each = iter(score_windows(self.decoder, [one for part in found for one in part]))
            for (i, start, _), part in zip(group, found, strict=True):
                moved = [_moved(window, start) for window in part]
                scored[i] += [(window, next(each)) for window in moved]
        for one, part_scored in zip(batch, scored, strict=True):
            yield labelled(one, part_scored, self.record)


PIECE = 50_000
"""Characters of a text that are read at once."""
_AT_ONCE = 200_000
"""Characters of a batch; vectors take some kilobytes a word."""


def text_batches(texts: Iterable[LabelledText]) -> Iterator[list[LabelledText]]:
    """Yield the texts that are read at once; what is found depends on no text of another batch."""
    yield from batches_of(texts, lambda one: len(one.text), longest=_AT_ONCE, most=TEXTS)


def _moved(window: Window, by: int) -> Window:
    if not by:
        return window
    return replace(window, offsets=tuple((s + by, e + by) for s, e in window.offsets))


def default_device() -> str:
    """Return the device that networks run on: a GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def feature_reader(
    encoder: str, spacy_model: str, device: str, *, tuned: int, beside: str | None = None
) -> FeatureReader:
    """Return what turns texts into windows.

    Args:
        tuned: layers of the transformer that networks have of their own.
        beside: a further transformer.

    Raises:
        ModelError: a model is not found or cannot be loaded.
    """
    nlp = load_spacy(spacy_model, exclude=_UNUSED)
    loaded = load_transformer(resolve_transformer(encoder), device)
    further = None
    if beside is not None:
        further = FurtherStates(*load_transformer(resolve_transformer(beside), device))
    return FeatureReader(nlp, *loaded, tuned=tuned, beside=further)


def score_windows(decoder: Decoder, windows: Sequence[Window]) -> list[ScoredWindow]:
    """Return what is found in windows, in their order, read in batches of like length."""
    order = sorted(range(len(windows)), key=lambda i: len(windows[i]))
    found: dict[int, ScoredWindow] = {}
    for start in range(0, len(order), _WINDOWS):
        rows = order[start : start + _WINDOWS]
        found.update(zip(rows, decoder.read([windows[i] for i in rows]), strict=True))
    return [found[i] for i in range(len(windows))]


def labelled(
    text: LabelledText, scored: Sequence[tuple[Window, ScoredWindow]], record: ExtractorRecord
) -> LabelledText:
    """Return a text with what was found in its windows, with calibrated confidence."""
    entities: list[LabelledSpan] = []
    relations: list[LabelledRelation] = []
    for window, found in scored:
        base = len(entities)
        for one in found.spans:
            start, end = window.offsets[one.span.first][0], window.offsets[one.span.last][1]
            confidence = record.entity_scale(one.probability)
            entities.append(LabelledSpan(start, end, one.span.label, confidence))
        relations += [
            LabelledRelation(base + head, base + tail, label, confidence)
            for head, tail, label, confidence in _stated(found, record)
        ]
    return LabelledText(text.id, text.text, tuple(entities), tuple(relations))


def _stated(found: ScoredWindow, record: ExtractorRecord) -> Iterator[tuple[int, int, str, float]]:
    for head, tail, label, probability in found.relations:
        if probability >= record.threshold:
            joint = joint_probability(found, head, tail, probability)
            yield head, tail, label, record.relation_scale(joint)


def joint_probability(found: ScoredWindow, head: int, tail: int, probability: float) -> float:
    """Return the probability that a relation and both of its entities are right."""
    return probability * found.spans[head].probability * found.spans[tail].probability


def unscaled(record: ExtractorRecord) -> ExtractorRecord:
    """Return a record whose confidences are the probabilities themselves."""
    plain = PlattScale()
    return record.model_copy(update={"entity_scale": plain, "relation_scale": plain})


def _check_encoder(record: ExtractorRecord) -> None:
    models = (record.encoder, record.encoder_content), (record.beside, record.beside_content)
    for name, content in models:
        if name is None or content is None:
            continue
        if content_key(resolve_transformer(name)) != content:
            raise ModelError(
                "the transformer differs from the one that the extractor was trained with",
                value=name,
                remedy="Install the same release of it, or train the extractor again.",
            )
