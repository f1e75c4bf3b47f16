"""States of a further transformer among what a trained extractor reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spacy

from kgrec.errors import ModelError
from kgrec.learning.extraction.training import TrainingConfig, train_extractor
from kgrec.text.encoder import load_transformer
from kgrec.text.models import SENTENCE_MODEL, resolve_transformer
from kgrec.text.trained.beside import FurtherStates
from kgrec.text.trained.extractor import TrainedExtractor
from kgrec.text.trained.lines import LabelledSpan, LabelledText

CONFIG = TrainingConfig.model_validate(
    {
        "beside": SENTENCE_MODEL,
        "seeds": 1,
        "minutes": None,
        "network": {"hidden": 16, "pair": 16, "context": 16, "depth": 1, "tuned": 0},
        "fitting": {"epochs": 1, "least_steps": 0},
    }
)


@pytest.fixture(scope="module")
def further() -> FurtherStates:
    return FurtherStates(*load_transformer(resolve_transformer(SENTENCE_MODEL), "cpu"))


def test_each_word_has_a_state_of_one_length_in_texts_of_any_length(further: FurtherStates) -> None:
    nlp = spacy.blank("en")
    docs = [nlp(text) for text in ("Ada Vale met Bo.", "", "Ada walked. " * 400)]
    short, empty, long = further.read(docs)
    assert short.shape == (5, further.size)
    assert empty.shape == (0, further.size)
    assert len(long) == 1200
    for states in (short, long):
        lengths = np.linalg.norm(states, axis=1)
        assert np.allclose(lengths, np.sqrt(further.size), rtol=1e-3)


def test_a_state_is_that_of_its_word_in_its_context(further: FurtherStates) -> None:
    nlp = spacy.blank("en")
    texts = ["The bank of the river.", "The bank gave credit.", "The bank of the river."]
    river, credit, again = (states[1] for states in further.read([nlp(text) for text in texts]))
    assert np.allclose(river, again, atol=0.05)
    assert float(river @ credit) / further.size < 0.95 < float(river @ again) / further.size


def test_an_extractor_keeps_what_it_was_trained_with(tmp_path: Path) -> None:
    texts = [
        LabelledText(str(n), f"{name} came.", (LabelledSpan(0, len(name), "Person"),))
        for n, name in enumerate(["Ada", "Bo", "Cy", "Di", "Ed", "Flo"])
    ]
    done = train_extractor(texts, texts[:2], tmp_path / "model", CONFIG)
    extractor = TrainedExtractor(tmp_path / "model")
    assert done.record.sizes.states == extractor.reader.state_size > 384
    assert len(list(extractor.read(texts))) == len(texts)
    changed = extractor.record.model_copy(update={"beside_content": "another"})
    assert changed.version != extractor.version
    path = tmp_path / "model" / "extractor.json"
    path.write_text(changed.model_dump_json(), encoding="utf-8")
    with pytest.raises(ModelError, match="differs"):
        TrainedExtractor(tmp_path / "model")
