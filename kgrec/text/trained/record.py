"""A trained extractor's folder: `extractor.json`, and one file of weights for each network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from kgrec.config import FrozenModel
from kgrec.errors import DataError, ModelError
from kgrec.text.trained.batches import LabelSets
from kgrec.text.trained.calibration import PlattScale, Reliability
from kgrec.text.trained.known import ColumnNames
from kgrec.text.trained.network import ExtractionNetwork, InputSizes, NetworkConfig
from kgrec.text.trained.scoring import ExtractionScore

RECORD = "extractor.json"
NAMES = "names.json"
FORMAT = 2


class Member(FrozenModel):
    """One network of the ensemble: its file, and the digest of that."""

    file: str
    sha256: str
    seed: int


class ExtractorRecord(FrozenModel):
    """`extractor.json`: everything of a trained extractor beside the weights.

    Attributes:
        encoder, encoder_content: name of the transformer, and the key of its files' content.
        spacy: name of the spaCy pipeline.
        beside, beside_content: the same of a further transformer, None where there is none.
        fitting: head label, tail label, and the relations that occurred between them.
        threshold: probability from which on a relation is stated.
        names: digest of the names that are marked in the texts; they lie in `NAMES`.
        entity_scale, relation_scale: calibration, by the texts of the development file.
        entity_reliability, relation_reliability: of confidences that were calibrated on the other
            half of these texts.
        score: on the development file.
        training: how it was trained.
    """

    format: int = FORMAT
    encoder: str
    encoder_content: str | None
    spacy: str
    beside: str | None = None
    beside_content: str | None = None
    network: NetworkConfig
    sizes: InputSizes
    entities: tuple[str, ...]
    relations: tuple[str, ...]
    tags: tuple[dict[str, int], ...]
    fitting: tuple[tuple[str, str, tuple[str, ...]], ...]
    threshold: float
    names: str | None = None
    entity_scale: PlattScale = PlattScale()
    relation_scale: PlattScale = PlattScale()
    entity_reliability: Reliability | None = None
    relation_reliability: Reliability | None = None
    score: ExtractionScore | None = None
    training: dict[str, Any]
    members: tuple[Member, ...]

    @property
    def known(self) -> LabelSets:
        """The labels as networks read them."""
        fitting = {(head, tail): frozenset(labels) for head, tail, labels in self.fitting}
        return LabelSets(self.entities, self.relations, self.tags, fitting)

    @property
    def version(self) -> str:
        """A hash of all that predictions depend on."""
        kept = self.model_dump_json(
            exclude={"score", "training", "entity_reliability", "relation_reliability"}
        )
        return hashlib.blake2b(kept.encode(), digest_size=6).hexdigest()


def write_member(folder: Path, number: int, network: ExtractionNetwork, seed: int) -> Member:
    """Write the weights of a network and return its entry of the record."""
    content = save({k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()})
    name = f"network-{number}.safetensors"
    (folder / name).write_bytes(content)
    return Member(file=name, sha256=hashlib.sha256(content).hexdigest(), seed=seed)


def read_names(folder: Path, record: ExtractorRecord) -> ColumnNames | None:
    """Return the names that are marked in the texts, None where there are none.

    Raises:
        ModelError: they are missing, broken, or differ from their digest.
    """
    if record.names is None:
        return None
    path = folder / NAMES
    try:
        names = ColumnNames.load(path)
        if names.digest != record.names:
            raise DataError("they differ from their digest")
    except DataError as error:
        raise ModelError(
            f"the names of the extractor cannot be used ({error.what})",
            value=str(path),
            remedy="Copy the folder again, or train the extractor again.",
        ) from None
    return names


def write_record(folder: Path, record: ExtractorRecord) -> None:
    """Write `extractor.json`."""
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, indent=1)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def read_record(folder: Path) -> ExtractorRecord:
    """Read `extractor.json`.

    Raises:
        ModelError: there is none, it is broken, or of a later format.
    """
    try:
        given = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if isinstance(given, dict) and given.get("format", FORMAT) > FORMAT:
            raise ModelError(
                "the extractor was written by a later kgrec",
                value=str(folder),
                remedy="Update kgrec, or train it again.",
            )
        return ExtractorRecord.model_validate(given)
    except OSError:
        raise ModelError(
            "there is no trained extractor in this folder",
            value=str(folder),
            remedy="Train one: `kgrec extract train --train F --dev F --out DIR`.",
        ) from None
    except (ValueError, TypeError, ValidationError, RecursionError) as error:
        raise ModelError(
            f"the file {RECORD} is broken ({str(error).splitlines()[0]})",
            value=str(folder),
            remedy="Train the extractor again.",
        ) from None


def read_networks(
    folder: Path,
    record: ExtractorRecord,
    device: torch.device,
    upper: Callable[[], Sequence[nn.Module]],
) -> Sequence[ExtractionNetwork]:
    """Return the networks of a record, in evaluation mode.

    Args:
        upper: makes the layers of the transformer that a network has of its own.

    Raises:
        ModelError: a file is missing, differs from its digest, does not fit or is not finite.
    """
    networks = []
    for member in record.members:
        path = folder / member.file
        try:
            if path.parent.resolve() != folder.resolve():
                raise ValueError("it lies in another folder")
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != member.sha256:
                raise ValueError("it differs from its digest")
            network = ExtractionNetwork(record.network, record.sizes, upper())
            network.load_state_dict(load(content))
            if not all(bool(torch.isfinite(one).all()) for one in network.parameters()):
                raise ValueError("a weight is not finite")
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"the weights cannot be used ({str(error).splitlines()[0]})",
                value=str(path),
                remedy="Copy the folder again, or train the extractor again.",
            ) from None
        networks.append(network.to(device).eval())
    if not networks:
        raise ModelError(
            "the extractor has no network", value=str(folder), remedy="Train it again."
        )
    return networks
