"""A small catalogue in which tastes are planted: what an agent should find is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kgrec.data.dataset import Dataset, Facts, FloatArray, Interactions
from kgrec.data.protocols import split_by_ratio
from kgrec.data.vocabulary import Vocabulary

TASTES = 4
WORDS = ("drama", "comedy", "western", "musical")


@dataclass(frozen=True)
class Tastes:
    """Item n and user n have taste n % 4; a tenth of what a user takes is of any taste.

    Attributes:
        cold: rows of items that stand in no interaction of `train` and `valid`.
    """

    train: Dataset
    valid: Interactions
    test: Interactions
    cold: tuple[int, ...]


def tastes(users: int = 120, items: int = 96, each: int = 12, seed: int = 5) -> Tastes:
    """Draw the catalogue; the last eight items are cold, and known by genre and text alone."""
    rng = np.random.default_rng(seed)
    cold = tuple(range(items - 8, items))
    popular = 1.0 / np.sqrt(1.0 + np.arange(items))
    popular[list(cold)] = 0.0
    rows = []
    for user in range(users):
        odds = popular * np.where(np.arange(items) % TASTES == user % TASTES, 10.0, 1.0)
        taken = rng.choice(items, each, replace=False, p=odds / odds.sum())
        rows += [(user, int(item)) for item in taken]
    user, item = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    ones = np.ones(len(rows), dtype=np.float32)
    everything = Interactions(user, item, ones, np.arange(len(rows), dtype=np.int64))
    train, valid, test = split_by_ratio(everything, (0.6, 0.2, 0.2), seed=seed)
    dataset = Dataset(
        Vocabulary(f"u{n}" for n in range(users)),
        Vocabulary(f"i{n}" for n in range(items)),
        train,
        Vocabulary(WORDS),
        Facts(
            np.arange(items, dtype=np.int64),
            np.zeros(items, dtype=np.int64),
            np.arange(items, dtype=np.int64) % TASTES,
            np.ones(items, dtype=np.float32),
            ("HAS_GENRE",),
        ),
        tuple(f"Film {n}, a {WORDS[n % TASTES]}" for n in range(items)),
        WORDS,
    )
    return Tastes(dataset, valid, test, cold)


class Popularity:
    """The baseline: every history gets the most popular items."""

    def __init__(self, world: Tastes) -> None:
        counts = np.bincount(world.train.interactions.item, minlength=world.train.num_items)
        self._counts = counts.astype(np.float32)

    def scores(self, histories: object) -> np.ndarray:
        return np.tile(self._counts, (histories.shape[0], 1))  # type: ignore[attr-defined]


def write_folder(world: Tastes, folder: Path, name: str = "p") -> None:
    """Write the catalogue as atomic files, its genres as a list of each item."""
    parts = {"train": world.train.interactions, "valid": world.valid, "test": world.test}
    for part, rows in parts.items():
        pairs = zip(rows.user.tolist(), rows.item.tolist(), strict=True)
        lines = [f"{world.train.users.id(u)}\t{world.train.items.id(i)}" for u, i in pairs]
        text = "\n".join(["user_id:token\titem_id:token", *lines]) + "\n"
        (folder / f"{name}.{part}.inter").write_text(text)
    items = zip(world.train.items.ids, world.train.item_texts, strict=True)
    rows = "\n".join(f"{item}\t{text}\t{text.split()[-1]}" for item, text in items)
    header = "item_id:token\ttitle:token_seq\tgenre:token_seq"
    (folder / f"{name}.item").write_text(f"{header}\n{rows}\n")


def encode_words(texts: Sequence[str]) -> FloatArray:
    """Encode texts by the words they hold: an encoder of the same shape as a transformer's."""
    rows = np.array([[text.count(word) for word in (*WORDS, "Film")] for text in texts], np.float32)
    noise = np.random.default_rng(0).normal(scale=0.05, size=(len(texts), 3))
    vectors = np.hstack([rows, noise])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
