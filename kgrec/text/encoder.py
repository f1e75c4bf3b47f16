"""Encoding of texts as unit vectors by a sentence transformer, with a cache on disk.

Vectors are cached by the content hash of text and model, so each text is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kgrec.errors import ConfigError
from kgrec.progress import SILENT, Progress
from kgrec.text.models import (
    MAX_TOKENS,
    SENTENCE_MODEL,
    ModelSource,
    ResolvedModel,
    content_key,
    missing_on_hub,
    resolve_transformer,
)
from kgrec.text.vectors import VectorCache, cached_vectors

DEFAULT = SENTENCE_MODEL


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
    fast = device == "cpu" and has_fast_bfloat16()
    content = content_key(resolved)
    if content is None:  # a model of the hub that is fetched now
        _load(resolved, device, content)
        content = content_key(resolved)
    if not texts:
        _, network = _load(resolved, device, content)
        return np.empty((0, network.config.hidden_size), dtype=np.float32)

    def compute(part: list[str]) -> NDArray[np.float32]:
        return _forward(*_load(resolved, device, content), part, fast=fast)

    name = f"{resolved.name if content is None else content} {'bf16' if fast else 'fp32'}"
    cache = VectorCache(cache_dir, name) if cache_dir else None
    return cached_vectors(texts, cache, compute, progress)


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


def load_transformer(
    resolved: ResolvedModel, device: str, *, generates: bool = False
) -> tuple[Any, Any]:
    """Return tokenizer and network, float32 and in evaluation mode, for the caller alone.

    Args:
        generates: whether the network is to predict the next token.

    Raises:
        ModelError: transformers cannot load it.
        ConfigError: torch has no such device.
    """
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    try:
        place = torch.device(device)
    except RuntimeError:
        raise ConfigError("torch knows no such device", value=device, remedy="Use cpu.") from None
    local = resolved.source is not ModelSource.HUB
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(resolved.location, local_files_only=local)
            kind: Any = AutoModelForCausalLM if generates else AutoModel
            network = kind.from_pretrained(resolved.location, local_files_only=local)
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


@lru_cache(maxsize=1)
def multiplies_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself, in tiles or vectors.

    Then large batches of a small network take about half of what float32 does.
    """
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return has_fast_bfloat16() or bool(supported and supported())
