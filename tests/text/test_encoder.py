from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from kgrec.errors import ConfigError, DataError, ModelError
from kgrec.text.bert import numpy_encoder
from kgrec.text.encoder import encode, has_fast_bfloat16
from kgrec.text.models import (
    SENTENCE_MODEL,
    ModelSource,
    content_key,
    resolve_spacy,
    resolve_transformer,
)
from kgrec.text.vectors import VectorCache, text_key

TEXTS = [
    "A shark terrorises a beach resort.",
    "A great white attacks swimmers at the seaside.",
    "Two pianists fall in love in Vienna.",
    "",
]


def test_like_texts_have_like_vectors() -> None:
    vectors = encode(TEXTS)
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_order_and_repeats_are_kept() -> None:
    vectors = encode([TEXTS[2], TEXTS[0], TEXTS[2]])
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_allclose(vectors[:2], encode(TEXTS)[[2, 0]], atol=2e-2)


def test_no_texts_give_no_rows() -> None:
    assert encode([]).shape == (0, 384)


def test_the_cache_answers_the_second_call(tmp_path: Path) -> None:
    first = encode(TEXTS, cache_dir=tmp_path)
    (path,) = tmp_path.glob("*.sqlite")
    marked = np.eye(1, 384, dtype=np.float32)
    content = content_key(resolve_transformer(SENTENCE_MODEL))
    cache = next(
        c
        for c in (VectorCache(tmp_path, f"{content} {p}") for p in ("bf16", "fp32"))
        if c.read([text_key(TEXTS[0])])
    )
    assert cache.path == path
    cache.write([text_key(TEXTS[0])], marked)
    second = encode([*TEXTS, "A new one."], cache_dir=tmp_path)
    np.testing.assert_array_equal(second[0], marked[0])
    np.testing.assert_array_equal(second[1:4], first[1:])


def test_vectors_by_numpy_are_those_by_torch(tmp_path: Path) -> None:
    texts = [*TEXTS, "Ünïcode, 漢字, emoji 😀 and [SEP]", "word " * 600]
    found = numpy_encoder(SENTENCE_MODEL, tmp_path)
    assert found is not None
    vectors = found(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, encode(texts), atol=2e-2)  # bfloat16 where it is fast
    if not has_fast_bfloat16():
        np.testing.assert_allclose(vectors, encode(texts), atol=1e-5)
        np.testing.assert_array_equal(encode(texts, cache_dir=tmp_path), vectors)
    assert found([]).shape == (0, 384)


def test_a_model_of_another_form_is_left_to_torch(tmp_path: Path) -> None:
    folder = Path(resolve_transformer(SENTENCE_MODEL).location)
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (other / path.name).symlink_to(path)
    assert numpy_encoder(str(other)) is not None
    (other / "config.json").unlink()
    settings = json.loads((folder / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(settings | {"hidden_act": "relu"}))
    assert numpy_encoder(str(other)) is None
    assert numpy_encoder("somebody/some-model") is None


def test_a_damaged_cache_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encode(TEXTS[:1], cache_dir=tmp_path)
    (path,) = tmp_path.glob("*.sqlite")
    path.write_bytes(b"no database" * 1000)
    vectors = encode(TEXTS[:1], cache_dir=tmp_path)
    assert vectors.shape == (1, 384)
    assert "set aside" in caplog.text
    assert path.with_suffix(".damaged").exists()


def test_a_cache_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(DataError, match="cannot be used"):
        encode(TEXTS[:1], cache_dir=blocked)


def test_unknown_device() -> None:
    with pytest.raises(ConfigError, match="device"):
        encode(["x"], device="abacus")


def test_the_resolver_takes_the_package_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    found = resolve_transformer(SENTENCE_MODEL)
    assert found.source is ModelSource.PACKAGE
    assert "package" in caplog.text
    assert resolve_transformer(found.location).source is ModelSource.PATH
    assert resolve_spacy("en_core_web_sm").source is ModelSource.PACKAGE


def test_the_resolver_leaves_unknown_names_to_the_hub() -> None:
    assert resolve_transformer("somebody/some-model").source is ModelSource.HUB


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/model", "en_core_web_xx"])
def test_a_missing_model_says_what_to_do(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve_spacy(name)
    assert "pip install" in caught.value.remedy
    if name.startswith((".", "/")):
        with pytest.raises(ModelError, match="folder"):
            resolve_transformer(name)
