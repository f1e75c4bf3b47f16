"""The two losses of an adaptation and their validation metrics.

Masked-language training predicts masked tokens from the others; the contrastive loss compares a
pair with the other pairs of its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kgrec.learning.encoder.adapters import TextReader
from kgrec.learning.encoder.config import EncoderConfig
from kgrec.learning.encoder.pairs import Augmenter, Pairs, PairSampler, strongest_partners
from kgrec.training.loop import seeded


class MaskedHead(nn.Module):
    """Token vectors to logits over the vocabulary, by the transformer's own input embeddings.

    The head of BERT (Devlin et al. 2019), with output weights tied to the input embeddings. A
    sentence encoder has no trained head, so the map between the two starts as the identity.

    Args:
        network: the transformer; its embeddings stay frozen.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self._embeddings = [network.get_input_embeddings().weight]  # a list: not of this module
        size, width = self._embeddings[0].shape
        self.map = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(size))
        nn.init.eye_(self.map.weight)
        nn.init.zeros_(self.map.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits, [N, V], of token vectors, [N, D]."""
        mapped = self.norm(self.map(hidden))  # [N, D]
        logits: Tensor = mapped @ self._embeddings[0].T.to(mapped.dtype) + self.bias
        return logits


def mask_tokens(
    tokens: Tensor, special: Tensor, share: float, mask_id: int, num_tokens: int
) -> tuple[Tensor, Tensor]:
    """Mask tokens as BERT does: of the sampled ones, 80 % masked, 10 % replaced, 10 % unchanged.

    Uses torch's global random generator.

    Args:
        tokens: ids, int64 [B, T].
        special: tokens that are not masked: padding, start and end, bool [B, T].
        share: share of the tokens that are predicted.
        mask_id: id of the mask.
        num_tokens: V.

    Returns:
        ids after masking, int64 [B, T], and which are predicted, bool [B, T].
    """
    uniform = torch.rand(tokens.shape).to(tokens.device)
    guessed = (uniform < share) & ~special
    kind = torch.rand(tokens.shape).to(tokens.device)
    other = torch.randint(num_tokens, tokens.shape).to(tokens.device)
    hidden = torch.where(guessed & (kind < 0.8), mask_id, tokens)
    return torch.where(guessed & (kind >= 0.9), other, hidden), guessed


def contrastive_loss(anchors: Tensor, partners: Tensor, related: Tensor, tau: float) -> Tensor:
    """Return the mean InfoNCE loss in both directions (van den Oord et al. 2018).

    The negatives are the other partners of the batch, as in multiple negatives ranking (Henderson
    et al. 2017), except those that are related to the anchor.

    Args:
        anchors, partners: unit vectors, float32 [B, D].
        related: which partner (column) is related to which anchor (row), bool [B, B].
        tau: temperature of the cosine.
    """
    cosine = anchors @ partners.T / tau  # [B, B]
    own = torch.eye(len(anchors), dtype=torch.bool, device=cosine.device)
    cosine = cosine.masked_fill(related & ~own, -torch.inf)
    target = torch.arange(len(anchors), device=cosine.device)
    return (cross_entropy(cosine, target) + cross_entropy(cosine.T, target)) / 2


def reciprocal_rank(anchors: Tensor, partners: Tensor, related: Tensor) -> float:
    """Return the mean reciprocal rank of each anchor's partner among the unrelated partners."""
    cosine = anchors @ partners.T  # [B, B]
    own = cosine.diagonal()
    own_place = torch.eye(len(anchors), dtype=torch.bool, device=cosine.device)
    before = (cosine >= own[:, None]) & ~related & ~own_place
    return float((1.0 / (1.0 + before.sum(dim=1))).mean())


_LOOK = 64
"""Texts of a validation of masked tokens."""


@dataclass(frozen=True)
class TextCatalogue:
    """The texts and relatedness of items that an encoder is adapted to.

    Attributes:
        texts: texts of the items, [I]; empty ones are not trained on.
        co_occurring: similarity of items by shared users, CSR float32 [I, I].
        alike: similarity of items by facts, CSR float32 [I, I], or None.
    """

    texts: Sequence[str]
    co_occurring: sp.csr_matrix | None = None
    alike: sp.csr_matrix | None = None

    def sources(self, facts: float) -> list[tuple[sp.csr_matrix, float]]:
        """Return the weights of partners of each source, with its share of the pairs."""
        both = [(self.co_occurring, 1.0 - facts), (self.alike, facts)]
        return [(weights, share) for weights, share in both if weights is not None]


class EncoderProblem:
    """One catalogue, split into training items and items held out for early stopping.

    Args:
        reader: the transformer that is trained.
        generator: random generator of texts, pairs and augmentation.
    """

    def __init__(
        self,
        catalogue: TextCatalogue,
        reader: TextReader,
        config: EncoderConfig,
        augmenter: Augmenter,
        generator: np.random.Generator,
    ) -> None:
        self.config, self.reader, self._texts = config, reader, catalogue.texts
        self._augmenter, self._generator = augmenter, generator
        has_text = np.array([bool(text.strip()) for text in catalogue.texts])
        self.held = held_out(has_text, config)
        self.learned = np.flatnonzero(has_text & ~self.held)
        sources = catalogue.sources(config.facts)
        self.sampler = PairSampler(sources, has_text & ~self.held)
        self.wanted = _wanted(sources, self.held, has_text & ~self.held)

    def masked_loss(self, head: MaskedHead, batch: int) -> Callable[[], Tensor]:
        """Return a function that samples texts and returns the loss of their masked tokens."""

        def loss() -> Tensor:
            size = min(batch, len(self.learned))
            rows = self._generator.choice(self.learned, size, replace=False)
            return self._guess(head, [self._texts[row] for row in rows])

        return loss

    def masked_measure(self, head: MaskedHead) -> Callable[[], float]:
        """Return the metric of held-out texts: minus their loss, with the same mask each time."""
        texts = [self._texts[row] for row in np.flatnonzero(self.held)[:_LOOK]]

        @torch.no_grad()
        def measure() -> float:
            with seeded(self.config.seed), reading_only(self.reader):
                return -float(self._guess(head, texts))

        return measure

    def _guess(self, head: MaskedHead, texts: Sequence[str]) -> Tensor:
        tokens = self.reader.tokens(texts)
        tokenizer = self.reader.tokenizer
        ids, guessed = mask_tokens(
            tokens["input_ids"],
            self.reader.special(tokens["input_ids"]),
            self.config.mask,
            tokenizer.mask_token_id,
            len(tokenizer),
        )
        with self.reader.half_precision():
            hidden = self.reader.network(**{**tokens, "input_ids": ids}).last_hidden_state
            logits: Tensor = head(hidden[guessed])  # [G, V]
        if not len(logits):
            return logits.sum() * 0.0
        loss: Tensor = cross_entropy(logits.float(), tokens["input_ids"][guessed])
        return loss

    def contrast_loss(self, batch: int) -> Callable[[], Tensor]:
        """Return a function that samples pairs and returns their contrastive loss."""

        def loss() -> Tensor:
            return self.pair_loss(self.sampler.sample(batch, self._generator))

        return loss

    def pair_loss(self, pairs: Pairs) -> Tensor:
        """Return the loss of some pairs, with augmented texts."""
        rows = np.concatenate([pairs.anchor, pairs.partner])
        texts = [self._augmenter(self._texts[row], self._generator) for row in rows]
        vectors = self.reader.vectors(texts)
        anchors, partners = vectors[: len(pairs)], vectors[len(pairs) :]
        return contrastive_loss(anchors, partners, self._related(pairs), self.config.tau)

    def contrast_measure(self) -> Callable[[], float]:
        """Return the metric of held-out items: the mean reciprocal rank of their partners."""
        texts = [self._texts[row] for row in (*self.wanted.anchor, *self.wanted.partner)]
        related = self._related(self.wanted)

        @torch.no_grad()
        def measure() -> float:
            with reading_only(self.reader):
                vectors = self.reader.vectors(texts)
                size = len(self.wanted)
                return reciprocal_rank(vectors[:size], vectors[size:], related)

        return measure

    def _related(self, pairs: Pairs) -> Tensor:
        related = torch.from_numpy(self.sampler.related(pairs.anchor, pairs.partner))
        return related.to(self.reader.network.device)


@contextmanager
def reading_only(reader: TextReader) -> Iterator[None]:
    """Disable dropout within the block, and do not count its texts."""
    was, texts = reader.network.training, reader.texts
    reader.network.eval()
    try:
        yield
    finally:
        reader.network.train(was)
        reader.texts = texts


def held_out(has_text: NDArray[np.bool_], config: EncoderConfig) -> NDArray[np.bool_]:
    """Sample the items that are held out, bool [I]."""
    rows = np.flatnonzero(has_text)
    size = min(int(config.held_out * len(rows)), config.most_held_out)
    held = np.zeros(len(has_text), dtype=np.bool_)
    held[np.random.default_rng(config.seed).choice(rows, size, replace=False)] = True
    return held


def _wanted(
    sources: Sequence[tuple[sp.csr_matrix, float]],
    held: NDArray[np.bool_],
    learned: NDArray[np.bool_],
) -> Pairs:
    """Return held-out items with their target partner: by users, else by facts."""
    for weights, share in sources:
        pairs = strongest_partners(weights, held, learned)
        if share > 0 and len(pairs) > 1:
            return pairs
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int64))
