"""Train the text encoder: texts and pairs in, a folder that transformers loads out."""

from __future__ import annotations

import hashlib
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scipy.sparse as sp
from pydantic import AliasChoices, Field

from kgrec.config import FrozenModel
from kgrec.data.dataset import Dataset
from kgrec.errors import ConfigError
from kgrec.evaluation.report import peak_memory
from kgrec.learning.encoder.config import EncoderConfig
from kgrec.model.checkpoint import read_json
from kgrec.progress import SILENT, Progress
from kgrec.text.language_model import LanguageModel
from kgrec.text.models import content_key, resolve_transformer
from kgrec.version import __version__

if TYPE_CHECKING:
    from kgrec.learning.encoder.adaptation import Adapted
    from kgrec.learning.encoder.objective import TextCatalogue
    from kgrec.learning.encoder.pairs import Augmenter


class EncoderSummary(FrozenModel):
    """The result of an adaptation of the encoder.

    Attributes:
        folder: folder of the encoder; `encoder = "<folder>"` in [train] selects it.
        trained: False when the same encoder was in the folder already.
        texts: number of item texts.
        co_occurring, alike: number of pairs of items that share users, and that share facts.
        paraphrases: number of paraphrases by a language model.
        phases: result of each phase by name.
        peak_memory: bytes.
    """

    folder: Path
    trained: bool
    base: str
    texts: int
    co_occurring: int = Field(validation_alias=AliasChoices("co_occurring", "taken"))
    alike: int
    paraphrases: int
    phases: dict[str, dict[str, Any]]
    seconds: float
    peak_memory: int


def train_encoder(
    dataset: Dataset,
    out: Path,
    config: EncoderConfig | None = None,
    *,
    cache: Path,
    budget: float | None = None,
    synonyms: Path | None = None,
    model: LanguageModel | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> EncoderSummary:
    """Adapt the sentence encoder to a catalogue and write it to a folder.

    Args:
        dataset: items with texts, facts, and the interactions of the training part, the only ones
            that are read.
        out: folder of the encoder; an encoder in it is replaced.
        cache: folder of the cached answers of the language model.
        budget: approximate seconds.
        synonyms: a file; see `read_synonyms`.
        model: language model for paraphrases; None uses none.
        force: train even where the same encoder is in the folder already.

    Raises:
        DataError: there is nothing to learn from, or a file is invalid.
        ModelError: the base cannot be loaded, or the folder cannot be written.
        ConfigError: the device or peft is missing, or neither phase is to be run.
    """
    from kgrec.learning.encoder.adaptation import (
        RECORD,
        Work,
        adapt_encoder,
        check_free,
        save_encoder,
    )

    begun = time.perf_counter()
    config = config or EncoderConfig()
    if config.masked is None and config.contrast is None:
        raise ConfigError("both phases are disabled", remedy="Enable one.")
    check_free(out)
    catalogue = catalogue_of(dataset, config)
    fingerprint = _fingerprint(catalogue, config, budget, synonyms, model)
    known = read_json(out / RECORD) if (out / RECORD).is_file() and not force else {}
    if known.get("fingerprint") == fingerprint:
        return EncoderSummary(**{**known["summary"], "folder": out, "trained": False})
    augmenter, similarity = _augmenter(catalogue, config, synonyms, model, cache, progress)
    folder = out.parent / f".{out.name}.work"
    work = Work(folder / fingerprint, fingerprint, budget)
    adapted = adapt_encoder(catalogue, config, augmenter=augmenter, work=work, progress=progress)
    summary = _summary(out, catalogue, config, adapted, similarity, begun)
    record = {
        "format": 1,
        "kgrec": __version__,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "base": resolve_transformer(config.base).model_dump(mode="json", exclude={"location"}),
        "fingerprint": fingerprint,
        "settings": config.model_dump(mode="json"),
        "summary": summary.model_dump(mode="json", exclude={"folder"}),
    }
    save_encoder(adapted, out, record)
    shutil.rmtree(folder, ignore_errors=True)
    return summary


def catalogue_of(dataset: Dataset, config: EncoderConfig) -> TextCatalogue:
    """Return the texts as the semantic agent encodes them, and the related items."""
    from kgrec.learning.encoder.objective import TextCatalogue
    from kgrec.learning.encoder.pairs import co_consumption
    from kgrec.learning.knowledge_features import cosine_rows
    from kgrec.learning.semantic.agent import SemanticConfig

    texts = dataset.described_items(SemanticConfig().max_names)
    if config.contrast is None:
        return TextCatalogue(texts)
    co_occurring = None
    if len(dataset.interactions) and config.facts < 1:
        co_occurring = co_consumption(dataset.matrix(), config.neighbours)
    alike = cosine_rows(dataset, config.neighbours) if config.facts > 0 else None
    return TextCatalogue(texts, co_occurring, None if alike is None else sp.csr_matrix(alike.T))


def _augmenter(
    catalogue: TextCatalogue,
    config: EncoderConfig,
    synonyms: Path | None,
    model: LanguageModel | None,
    cache: Path,
    progress: Progress,
) -> tuple[Augmenter, int]:
    """Return the augmentation of texts, and the number of paraphrases."""
    from kgrec.learning.encoder.pairs import Augmenter, read_synonyms
    from kgrec.text.language_model import paraphrased

    others = read_synonyms(synonyms) if synonyms is not None else {}
    similarity: dict[str, list[str]] = {}
    if model is not None and config.augment.paraphrases:
        count = config.augment.paraphrases
        similarity = paraphrased(
            catalogue.texts, model, count, cache / "paraphrases.sqlite", progress=progress
        )
    return Augmenter(config.augment, others, similarity), sum(map(len, similarity.values()))


def _summary(
    out: Path,
    catalogue: TextCatalogue,
    config: EncoderConfig,
    adapted: Adapted,
    paraphrases: int,
    begun: float,
) -> EncoderSummary:
    return EncoderSummary(
        folder=out,
        trained=True,
        base=config.base,
        texts=sum(bool(text.strip()) for text in catalogue.texts),
        co_occurring=0 if catalogue.co_occurring is None else int(catalogue.co_occurring.nnz),
        alike=0 if catalogue.alike is None else int(catalogue.alike.nnz),
        paraphrases=paraphrases,
        phases={name: report.model_dump() for name, report in adapted.phases.items()},
        seconds=round(time.perf_counter() - begun, 1),
        peak_memory=peak_memory(),
    )


def _fingerprint(
    catalogue: TextCatalogue,
    config: EncoderConfig,
    budget: float | None,
    synonyms: Path | None,
    model: LanguageModel | None,
) -> str:
    """Hash everything that the weights depend on."""
    base = resolve_transformer(config.base)
    words = synonyms.read_bytes() if synonyms is not None and synonyms.is_file() else b""
    named = "" if model is None else model.name
    parts = [__version__, config.model_dump_json(), str(budget), str(content_key(base)), named]
    digest = hashlib.sha256(words)
    for part in (*parts, *catalogue.texts):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    for weights in (catalogue.co_occurring, catalogue.alike):
        if weights is not None:
            for column in (weights.indptr, weights.indices, weights.data):
                digest.update(column.tobytes())
    return digest.hexdigest()[:16]
