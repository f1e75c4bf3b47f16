"""The parts of the encoder's training: pairs, masks, losses, changed texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from kgrec.cli.train import _encoder_config
from kgrec.errors import DataError
from kgrec.learning.encoder.config import AugmentConfig, EncoderConfig, MaskedConfig
from kgrec.learning.encoder.objective import contrastive_loss, mask_tokens, reciprocal_rank
from kgrec.learning.encoder.pairs import (
    Augmenter,
    PairSampler,
    co_consumption,
    nearest,
    read_synonyms,
    strongest_partners,
)


def test_the_likeness_of_users_by_hand() -> None:
    """Items 0 and 1 share two of their users (2 and 3): 2 / √6 · 2 / (2 + 1); 2 is alone."""
    rows = [[1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]
    weights = co_consumption(sp.csr_matrix(np.array(rows, np.float32)), 5, shrink=1.0).toarray()
    assert weights[0, 1] == weights[1, 0] == pytest.approx(2 / np.sqrt(6) * 2 / 3, rel=1e-6)
    assert np.count_nonzero(weights) == 2


@pytest.mark.parametrize("block", [1, 7, 100])
def test_the_likeness_of_users_is_the_same_in_blocks(block: int) -> None:
    matrix = sp.random_array((30, 20), density=0.3, rng=np.random.default_rng(0), format="csr")
    matrix.data[:] = 1.0
    whole = co_consumption(sp.csr_matrix(matrix), 6)
    parts = co_consumption(sp.csr_matrix(matrix), 6, block=block)
    np.testing.assert_allclose(parts.toarray(), whole.toarray())
    assert not whole.diagonal().any()
    assert np.diff(whole.indptr).max() <= 6


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_the_nearest_are_the_largest(count: int, seed: int) -> None:
    dense = np.random.default_rng(seed).random((5, 8)) * (
        np.random.default_rng(seed + 1).random((5, 8)) < 0.6
    )
    kept = nearest(sp.csr_matrix(dense), count).toarray()
    for row, all_of_row in zip(kept, dense, strict=True):
        wanted = np.sort(all_of_row)[::-1][:count]
        np.testing.assert_allclose(np.sort(row)[::-1][:count], wanted, rtol=1e-6)


def weights() -> sp.csr_matrix:
    dense = np.zeros((6, 6), np.float32)
    dense[0, 1] = dense[1, 0] = 3.0
    dense[0, 2] = dense[2, 0] = 1.0
    dense[3, 4] = dense[4, 3] = 2.0
    return sp.csr_matrix(dense)


def test_pairs_are_drawn_among_usable_items_by_weight() -> None:
    usable = np.array([1, 1, 1, 1, 0, 1], dtype=bool)
    sampler = PairSampler([(weights(), 1.0)], usable)
    generator = np.random.default_rng(0)
    drawn = [sampler.sample(3, generator) for _ in range(400)]
    pairs = [pair for d in drawn for pair in zip(d.anchor, d.partner, strict=True)]
    assert {int(anchor) for anchor, _ in pairs} == {0, 1, 2}
    assert all(len(set(d.anchor)) == len(d) == 3 for d in drawn)
    of_first = [partner for anchor, partner in pairs if anchor == 0]
    assert np.mean(np.array(of_first) == 1) == pytest.approx(0.75, abs=0.08)


def test_sources_are_drawn_by_their_shares() -> None:
    rows = np.array([1, 1, 1, 0, 0, 0])
    first, second = (sp.csr_matrix(weights().toarray() * own[:, None]) for own in (rows, 1 - rows))
    sampler = PairSampler([(first, 0.75), (second, 0.25)], np.ones(6, dtype=bool))
    generator = np.random.default_rng(0)
    anchors = np.concatenate([sampler.sample(1, generator).anchor for _ in range(800)])
    assert np.mean(anchors >= 3) == pytest.approx(0.25, abs=0.06)
    assert not PairSampler([(first, 0.0)], np.ones(6, dtype=bool))


def test_what_belongs_together_by_any_source_is_no_negative() -> None:
    sampler = PairSampler([(weights(), 1.0)], np.ones(6, dtype=bool))
    related = sampler.related(np.array([0, 3]), np.array([2, 4, 0, 5]))
    np.testing.assert_array_equal(
        related, [[True, False, True, False], [False, True, False, False]]
    )


def test_held_out_items_seek_their_strongest_partner() -> None:
    held = np.array([1, 0, 0, 0, 0, 1], dtype=bool)
    pairs = strongest_partners(weights(), held, ~held)
    assert (pairs.anchor.tolist(), pairs.partner.tolist()) == ([0], [1])


def test_the_contrastive_loss_by_hand() -> None:
    """Cosines of [[1, 0], [0, .6]] at τ .5, both ways; a related partner is left out."""
    anchors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    partners = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    none = torch.zeros(2, 2, dtype=torch.bool)
    e = np.exp
    forth = (-np.log(e(2) / (e(2) + e(1.6))) - np.log(e(1.2) / (e(0) + e(1.2)))) / 2
    back = (-np.log(e(2) / (e(2) + e(0))) - np.log(e(1.2) / (e(1.6) + e(1.2)))) / 2
    loss = contrastive_loss(anchors, partners, none, 0.5)
    assert float(loss) == pytest.approx((forth + back) / 2, abs=1e-6)
    related = torch.tensor([[False, True], [False, False]])
    forth = -np.log(e(1.2) / (e(0) + e(1.2))) / 2
    back = -np.log(e(2) / (e(2) + e(0))) / 2
    assert float(contrastive_loss(anchors, partners, related, 0.5)) == pytest.approx(
        (forth + back) / 2, abs=1e-6
    )


def test_the_reciprocal_rank_by_hand() -> None:
    anchors = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    partners = torch.tensor([[0.6, 0.8], [0.8, 0.6]])
    none = torch.zeros(2, 2, dtype=torch.bool)
    assert reciprocal_rank(anchors, partners, none) == pytest.approx(0.5)
    assert reciprocal_rank(anchors, partners, ~none) == 1.0


def test_tokens_are_hidden_as_often_as_asked_and_none_that_is_special() -> None:
    torch.manual_seed(0)
    tokens = torch.randint(5, 1000, (200, 100))
    special = torch.zeros_like(tokens, dtype=torch.bool)
    special[:, :10] = True
    hidden, guessed = mask_tokens(tokens, special, 0.15, mask_id=3, num_tokens=1000)
    assert not guessed[:, :10].any()
    assert float(guessed[:, 10:].float().mean()) == pytest.approx(0.15, abs=0.01)
    assert torch.equal(hidden[~guessed], tokens[~guessed])
    assert float((hidden[guessed] == 3).float().mean()) == pytest.approx(0.8, abs=0.03)
    assert float((hidden[guessed] == tokens[guessed]).float().mean()) == pytest.approx(
        0.1, abs=0.03
    )


def test_a_phase_keeps_what_its_table_does_not_name() -> None:
    default = EncoderConfig()
    given = {"masked": {"batch": 8}, "contrast": {"schedule": {"steps": 80}}}
    config = EncoderConfig.model_validate(given)
    for phase, known in ((config.masked, MaskedConfig()), (config.contrast, default.contrast)):
        assert phase is not None
        assert known is not None
        steps = {"steps": phase.schedule.steps}
        assert phase.schedule == known.schedule.model_copy(update=steps)
    assert (config.masked.batch, config.contrast.schedule.steps) == (8, 80)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("asked", "table", "batch"),
    [(None, None, None), (True, None, 32), (True, 8, 8), (None, 8, 8), (False, 8, None)],
)
def test_words_are_learned_first_only_where_that_is_asked_for(
    tmp_path: Path, asked: bool | None, table: int | None, batch: int | None
) -> None:
    file = tmp_path / "encoder.toml"
    file.write_text("" if table is None else f"[masked]\nbatch = {table}\n")
    config = _encoder_config(file, {}, masked=asked, contrast=True)
    assert (config.masked and config.masked.batch) == batch
    assert config.contrast == EncoderConfig().contrast


TEXT = "A quiet film about one small village by the sea"


def test_texts_are_changed_as_often_and_as_much_as_asked() -> None:
    never = Augmenter(AugmentConfig(share=0.0))
    generator = np.random.default_rng(0)
    assert never(TEXT, generator) == TEXT
    always = Augmenter(AugmentConfig(share=1.0, drop_words=0.2, drop_span=0.2))
    lengths = [len(always(TEXT, generator).split()) for _ in range(300)]
    assert np.mean(lengths) == pytest.approx(8 * 0.8, abs=0.4)
    words = TEXT.split()
    assert all(word in words for word in always(TEXT, generator).split())
    assert always("one", np.random.default_rng(1)) == "one"


def test_synonyms_stand_in_for_words(tmp_path: Path) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_text("# groups\nfilm, movie, picture\nquiet, silent\n", encoding="utf-8")
    synonyms = read_synonyms(path)
    assert synonyms["film"] == ("movie", "picture")
    config = AugmentConfig(share=1.0, drop_words=0.0, drop_span=0.0, synonyms=1.0)
    changed = Augmenter(config, synonyms)("Quiet film.", np.random.default_rng(0))
    assert changed in ("Silent movie.", "Silent picture.")


@pytest.mark.parametrize("content", ["", "alone\n", "# film, movie\n"])
def test_a_file_without_synonyms_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "synonyms.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="no synonyms"):
        read_synonyms(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_synonyms(tmp_path / "nowhere.txt")


def test_a_paraphrase_stands_in_half_of_the_time() -> None:
    augmenter = Augmenter(AugmentConfig(share=0.0), paraphrases={TEXT: ["In other words"]})
    generator = np.random.default_rng(0)
    similarity = [augmenter(TEXT, generator) for _ in range(400)]
    assert similarity.count("In other words") == pytest.approx(200, abs=40)
    assert similarity.count(TEXT) + similarity.count("In other words") == 400
