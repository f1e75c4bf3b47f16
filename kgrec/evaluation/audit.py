"""What knowledge adds: the same data set without it, or with it given to the wrong items."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from kgrec.data.dataset import Dataset, Facts
from kgrec.data.vocabulary import Vocabulary

Knowledge = Literal["full", "none", "shuffled"]


def audited(dataset: Dataset, knowledge: Knowledge, *, seed: int) -> Dataset:
    """Return the data set with its knowledge as asked.

    Args:
        knowledge: `full` leaves it; `none` takes away facts and texts; `shuffled` gives each item
            the facts and the text of another, so that their number and shape stay the same.
        seed: of the permutation.
    """
    if knowledge == "full":
        return dataset
    if knowledge == "none":
        return replace(
            dataset, entities=Vocabulary(()), facts=Facts.empty(), item_texts=(), entity_names=()
        )
    moved = np.random.default_rng(seed).permutation(dataset.num_items)
    texts = list(dataset.item_texts)
    for row, text in enumerate(dataset.item_texts):
        texts[moved[row]] = text
    facts = replace(dataset.facts, item=moved[dataset.facts.item])
    return replace(dataset, facts=facts, item_texts=tuple(texts))
