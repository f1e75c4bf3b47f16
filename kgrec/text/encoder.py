"""Encoding of texts as unit vectors by a sentence transformer, with a cache on disk.

Vectors are cached by the content hash of text and model, so each text is computed once.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgrec.errors import ConfigError, DataError
from kgrec.progress import SILENT, Progress
from kgrec.text.models import (
    SENTENCE_MODEL,
    ModelSource,
    ResolvedModel,
    content_key,
    missing_on_hub,
    resolve_transformer,
)

logger = logging.getLogger(__name__)

_LOOKUP = 500
"""Keys in one query; older versions of SQLite allow 999 parameters."""


def text_key(text: str) -> bytes:
    """Return the 20-byte content hash under which a text's vector is kept."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


class VectorCache:
    """One SQLite file for one model: key to float32 vector.

    A write is a transaction, so a killed process loses at most its last batch and two processes
    may share the file. A damaged file is renamed and a new one started.

    Args:
        folder: made when absent.
        model: identifies weights and precision; each gets a file of its own.

    Raises:
        DataError: the folder or file cannot be written.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self.path = folder / f"{hashlib.blake2b(model.encode(), digest_size=8).hexdigest()}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._prepare()
        except (OSError, sqlite3.OperationalError) as error:
            raise _unusable(self.path, error) from None
        except sqlite3.DatabaseError as error:
            self._set_aside(error)

    def read(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the vectors that are known, each float32 [D]."""
        found: dict[bytes, NDArray[np.float32]] = {}
        try:
            with closing(self._connect()) as connection:
                for start in range(0, len(keys), _LOOKUP):
                    part = keys[start : start + _LOOKUP]
                    marks = ",".join("?" * len(part))
                    query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608
                    for key, blob in connection.execute(query, part):
                        found[key] = np.frombuffer(blob, dtype=np.float32)
        except sqlite3.OperationalError as error:
            raise _unusable(self.path, error) from None
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            return {}
        return found

    def write(self, keys: Iterable[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep the rows of `vectors`, float32 [N, D], under `keys`."""
        rows = [(key, vector.tobytes()) for key, vector in zip(keys, vectors, strict=True)]
        try:
            with closing(self._connect()) as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        except sqlite3.DatabaseError as error:
            raise _unusable(self.path, error) from None

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=60)

    def _prepare(self) -> None:
        with closing(self._connect()) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
                " WITHOUT ROWID"
            )

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        aside = self.path.with_suffix(".damaged")
        logger.warning("the vector cache %s is damaged (%s); set aside", self.path, error)
        try:
            self.path.replace(aside)
            self._prepare()
        except (OSError, sqlite3.DatabaseError) as again:
            raise _unusable(self.path, again) from None


def _unusable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"the cache of text vectors cannot be used ({error})",
        value=str(path),
        remedy="Make its folder writable, or choose another.",
    )


DEFAULT = SENTENCE_MODEL
MAX_TOKENS = 256
_BATCH = 32
_FLUSH = 64
"""Batches between two writes of the cache: what a killed run loses at most."""


def encode(
    texts: Sequence[str],
    *,
    model: str = DEFAULT,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Encode texts as unit vectors by the mean of a transformer's token vectors.

    Sentence-BERT (Reimers and Gurevych, EMNLP 2019). Texts that are equal are computed once,
    long texts are cut at 256 tokens. Where the processor multiplies bfloat16 in hardware (AMX)
    it is used; the measured cosine to float32 is above .9999.

    Args:
        texts: N texts; an empty one gets the vector of the empty text.
        model: a folder, an installed model's name, or a hub id.
        cache_dir: where vectors are kept, by the content of text and model; None keeps none.
        device: `cpu`, `cuda` or any other device of torch.

    Returns:
        float32 [N, D], rows of length 1.

    Raises:
        ModelError: the model is not found.
        ConfigError: torch has no such device.
        DataError: the cache cannot be written.
    """
    resolved = resolve_transformer(model)
    keys = [text_key(text) for text in texts]
    pending = dict(zip(keys, texts, strict=True))
    fast = device == "cpu" and has_fast_bfloat16()
    content = content_key(resolved)
    if content is None:  # a model of the hub that is fetched now
        _load(resolved, device, content)
        content = content_key(resolved)
    name = f"{resolved.name if content is None else content} {'bf16' if fast else 'fp32'}"
    cache = VectorCache(cache_dir, name) if cache_dir else None
    vectors = cache.read(list(pending)) if cache else {}
    pending = {key: text for key, text in pending.items() if key not in vectors}
    if not pending and texts:
        return np.stack([vectors[key] for key in keys])
    tokenizer, network = _load(resolved, device, content)
    if not texts:
        return np.empty((0, network.config.hidden_size), dtype=np.float32)
    # Texts of similar length in one batch need little padding.
    order = sorted(pending, key=lambda key: len(pending[key]), reverse=True)
    with progress.task("encode texts", total=len(order)) as task:
        fresh: list[bytes] = []
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            rows = _forward(tokenizer, network, [pending[key] for key in part], fast=fast)
            vectors.update(zip(part, rows, strict=True))
            fresh += part
            task.advance(len(part))
            if cache and (len(fresh) >= _FLUSH * _BATCH or start + _BATCH >= len(order)):
                cache.write(fresh, np.stack([vectors[key] for key in fresh]))
                fresh = []
    return np.stack([vectors[key] for key in keys])


@torch.inference_mode()
def _forward(tokenizer: Any, network: Any, texts: list[str], *, fast: bool) -> NDArray[np.float32]:
    tokens = tokenizer(
        texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    ).to(network.device)
    with torch.autocast("cpu", dtype=torch.bfloat16) if fast else nullcontext():
        hidden = network(**tokens).last_hidden_state  # [B, T, D]
    unit = mean_pooled(hidden, tokens["attention_mask"])
    return np.asarray(unit.cpu().numpy(), dtype=np.float32)


def mean_pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of the token vectors of each text, scaled to length 1, float32 [B, D].

    Args:
        hidden: [B, T, D].
        mask: 1 where there is a token, [B, T].
    """
    weight = mask.unsqueeze(-1).float()  # [B, T, 1]
    mean = (hidden.float() * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)  # [B, D]
    return torch.nn.functional.normalize(mean, dim=1)


@lru_cache(maxsize=2)
def _load(resolved: ResolvedModel, device: str, content: str | None) -> tuple[Any, Any]:
    """Load a model once for each content of its folder."""
    return load_transformer(resolved, device)


def load_transformer(resolved: ResolvedModel, device: str) -> tuple[Any, Any]:
    """Return tokenizer and network, float32 and in evaluation mode, for the caller alone.

    Raises:
        ModelError: transformers cannot load it.
        ConfigError: torch has no such device.
    """
    from transformers import AutoModel, AutoTokenizer

    try:
        place = torch.device(device)
    except RuntimeError:
        raise ConfigError("torch knows no such device", value=device, remedy="Use cpu.") from None
    local = resolved.source is not ModelSource.HUB
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(resolved.location, local_files_only=local)
            network = AutoModel.from_pretrained(resolved.location, local_files_only=local)
        except (OSError, ValueError, ImportError) as error:
            raise missing_on_hub(resolved, error) from None
    try:
        return tokenizer, network.eval().float().to(place)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"torch cannot use this device ({str(error).splitlines()[0]})",
            value=device,
            remedy="Use cpu, or install torch for the device.",
        ) from None


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the progress bars of transformers while it reads or writes weights."""
    from transformers.utils import logging as transformers_logging

    bars: Any = transformers_logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


@lru_cache(maxsize=1)
def has_fast_bfloat16() -> bool:
    """Whether the processor has tiles for bfloat16; without them it is slower than float32."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported and supported())
