"""What knowledge adds: the same data set without it, or with it given to the wrong items."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from kgrec.data.dataset import Dataset, Facts
from kgrec.data.vocabulary import Vocabulary

Knowledge = Literal["full", "none", "shuffled", "no-facts", "no-text"]


def audited(dataset: Dataset, knowledge: Knowledge, *, seed: int) -> Dataset:
    """Return the data set with its knowledge as asked.

    Args:
        knowledge: `full` leaves it; `none` takes away facts and texts; `no-facts` and `no-text`
            take away one of them; `shuffled` gives each item the facts and the text of another,
            so that their number and shape stay the same.
        seed: of the permutation.
    """
    if knowledge == "full":
        return dataset
    if knowledge == "shuffled":
        return _shuffled(dataset, seed)
    if knowledge in ("none", "no-facts"):
        dataset = replace(dataset, entities=Vocabulary(()), facts=Facts.empty(), entity_names=())
    if knowledge in ("none", "no-text"):
        dataset = replace(dataset, item_texts=())
    return dataset


def _shuffled(dataset: Dataset, seed: int) -> Dataset:
    moved = np.random.default_rng(seed).permutation(dataset.num_items)
    texts = list(dataset.item_texts)
    for row, text in enumerate(dataset.item_texts):
        texts[moved[row]] = text
    facts = replace(dataset.facts, item=moved[dataset.facts.item])
    return replace(dataset, facts=facts, item_texts=tuple(texts))
