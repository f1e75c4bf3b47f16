"""A catalogue of sixty texts on four shelves, and a small real encoder: the packaged one, cut."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from kgrec.learning.encoder.config import ContrastPhaseConfig, EncoderConfig, MaskedConfig
from kgrec.learning.encoder.objective import TextCatalogue
from kgrec.text.encoder import load_transformer, quiet
from kgrec.text.models import SENTENCE_MODEL, resolve_transformer
from kgrec.training.optimisation import Schedule

SHELVES = 4
ITEMS = 60

# Words of one shelf have nothing to do with each other: only who takes them tells.
_THINGS = (
    ("kettle", "anchor", "violin", "cactus", "ladder"),
    ("pillow", "engine", "orange", "helmet", "mirror"),
    ("candle", "rabbit", "bridge", "button", "pepper"),
    ("basket", "tunnel", "feather", "magnet", "saddle"),
)
_COLOURS = ("red", "blue", "green")


def texts() -> list[str]:
    """Item n is on shelf n % 4; its text names a thing of the shelf and a colour of none."""
    return [
        f"A {_COLOURS[n // SHELVES % 3]} {_THINGS[n % SHELVES][n // SHELVES % 5]}, number {n}"
        for n in range(ITEMS)
    ]


def matrix() -> sp.csr_matrix:
    """Users of a shelf take eight of its items each, CSR [U, I]."""
    rng = np.random.default_rng(1)
    rows = [
        (user, shelf + SHELVES * item)
        for user in range(80)
        for shelf in [user % SHELVES]
        for item in rng.choice(ITEMS // SHELVES, 8, replace=False)
    ]
    user, item = np.array(rows).T
    return sp.csr_matrix((np.ones(len(rows), np.float32), (user, item)), shape=(80, ITEMS))


def catalogue() -> TextCatalogue:
    from kgrec.learning.encoder.pairs import co_consumption

    return TextCatalogue(texts(), co_consumption(matrix(), 14))


def small_model(folder: Path, layers: int = 2) -> Path:
    """Write the packaged encoder's first layers to a folder."""
    tokenizer, network = load_transformer(resolve_transformer(SENTENCE_MODEL), "cpu")
    network.encoder.layer = network.encoder.layer[:layers]
    network.config.num_hidden_layers = layers
    shutil.rmtree(folder, ignore_errors=True)
    with quiet():
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def quick(base: Path, **settings: object) -> EncoderConfig:
    """Return settings of a few steps."""
    steps = {"rate": 2e-3, "warmup": 2, "check_every": 4, "check_from": 4, "patience": 9}
    values = {
        "base": str(base),
        "masked": MaskedConfig(batch=16, schedule=Schedule(steps=8, **steps)),
        "contrast": ContrastPhaseConfig(batch=16, schedule=Schedule(steps=16, **steps)),
        "held_out": 0.2,
        "facts": 0.0,
        "max_tokens": 24,
    }
    return EncoderConfig.model_validate(values | settings)
