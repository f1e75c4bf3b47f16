"""The network: a tagger of entities, and a scorer of pairs of entities.

Both read words as vectors of a pretrained transformer, a convolution over letters (Ma and Hovy,
ACL 2016), tags, and states of spaCy's recogniser, each by convolutions of its own, since
what finds an entity is not what relates two (Zhong and Chen, NAACL 2021). The scorer's also reads
which words are entities, and of which label (Bekoulis et al., 2018). A pair is scored from both
entities, the words between them (the localized context of SpERT; Eberts and Ulges, ECAI 2020), the
words on the path between them in the parse, and their distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kgrec.config import FrozenModel
from kgrec.text.trained.features import ALPHABET_SIZE, LETTERS

_STEPS = 10
"""Distances between entities are read in this many powers of two, for each order."""


class NetworkConfig(FrozenModel):
    """Sizes of the network.

    Attributes:
        hidden: of the readers of words.
        depth: convolutions of a reader.
        pair: of the scorer of pairs.
        context: of the words between two entities and on their path.
        tag, label, letter, letters: of the vectors of tags, labels and letters, and of the filters
            over letters.
        tuned: layers of the transformer, from the top, that are trained with the rest.
        dropout: share of the inputs and the hidden values that are dropped in training.
    """

    hidden: int = 256
    depth: int = 3
    pair: int = 200
    context: int = 128
    tag: int = 20
    label: int = 24
    letter: int = 24
    letters: int = 48
    dropout: float = 0.4
    tuned: int = 4


class InputSizes(FrozenModel):
    """What the network reads and answers.

    Attributes:
        layers, size, states: of the windows.
        tags: how many tags there are of each kind; 0 is any other.
        outputs: tags of entities; the first is outside.
        labels, relations: labels of entities, and of relations.
    """

    layers: int
    size: int
    states: int
    tags: tuple[int, ...]
    outputs: int
    labels: int
    relations: int


@dataclass(frozen=True, slots=True, eq=False)
class WordBatch:
    """Windows in padded tensors: B windows, W words.

    Attributes:
        vectors: float [B, W, L, D].
        pieces: what the tuned layers read, float [B, P, D]; P is 0 where there are none.
        pooling: mean of the pieces of each word, float [B, W, P].
        mask: which pieces are there, bool [B, P].
        tags: [B, W, T].
        letters: [B, W, LETTERS].
        states: float [B, W, S].
        ancestors: bool [B, W, W].
        lengths: words of each window, int [B], on the CPU.
    """

    vectors: Tensor
    pieces: Tensor
    pooling: Tensor
    mask: Tensor
    tags: Tensor
    letters: Tensor
    states: Tensor
    ancestors: Tensor
    lengths: Tensor

    @property
    def present(self) -> Tensor:
        """Return which words are there, bool [B, W]."""
        place = torch.arange(self.tags.shape[1])
        return (place[None] < self.lengths[:, None]).to(self.tags.device)


@dataclass(frozen=True, slots=True, eq=False)
class EntityPairs:
    """N ordered pairs of entities of a batch, int [N] each, entities by first and last word."""

    window: Tensor
    head_first: Tensor
    head_last: Tensor
    head_label: Tensor
    tail_first: Tensor
    tail_last: Tensor
    tail_label: Tensor


class ExtractionNetwork(nn.Module):
    """Tags words and scores pairs of entities.

    Args:
        upper: copies of the upper layers of the transformer, which are trained with the rest.
    """

    def __init__(
        self, config: NetworkConfig, sizes: InputSizes, upper: Sequence[nn.Module] = ()
    ) -> None:
        super().__init__()
        self._relations = sizes.relations
        self.upper = nn.ModuleList(upper)
        self.mix = nn.Parameter(torch.zeros(2, sizes.layers + len(upper)))
        self.tag_vectors = nn.ModuleList(nn.Embedding(n, config.tag) for n in sizes.tags)
        self.letter_vectors = nn.Embedding(ALPHABET_SIZE, config.letter, padding_idx=0)
        self.letter_filter = nn.Conv1d(config.letter, config.letters, 3, padding=1)
        self.output_vectors = nn.Embedding(sizes.outputs, config.label)
        self.dropout = SharedDropout(config.dropout)
        wide = sizes.size + sizes.states + len(sizes.tags) * config.tag + config.letters
        both = config.hidden
        self.entity_reader = ContextReader(wide, both, config.depth, config.dropout / 2)
        self.tagger = nn.Sequential(
            nn.Linear(both, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, sizes.outputs),
        )
        self.relation_reader = ContextReader(
            wide + config.label, both, config.depth, config.dropout / 2
        )
        self.context = nn.Linear(both, config.context)
        self.label_vectors = nn.Embedding(sizes.labels, config.label)
        self.distances = nn.Embedding(2 * _STEPS, config.label)
        entity = 2 * both + config.context + config.label
        self.head_part = nn.Linear(entity, config.pair)
        self.tail_part = nn.Linear(entity, config.pair)
        self.between_part = nn.Linear(2 * config.context + config.label, config.pair)
        self.scorer = nn.Sequential(
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.pair, config.pair),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.pair, max(1, sizes.relations)),  # labels may be of entities alone
        )

    def inputs(self, batch: WordBatch) -> tuple[Tensor, Tensor]:
        """Return what the two readers read of words, [B, W, size] each."""
        shape = batch.letters.shape
        letters = self.letter_vectors(batch.letters.reshape(-1, LETTERS)).transpose(1, 2)
        spelled = torch.relu(self.letter_filter(letters)).amax(dim=2).reshape(*shape[:2], -1)
        tags = [one(batch.tags[..., i]) for i, one in enumerate(self.tag_vectors)]
        rest = [spelled, batch.states, *tags]
        # Without relations the second reader reads nothing.
        weights = torch.softmax(self.mix if self._relations else self.mix[:1], dim=1)
        mixed = weights @ self._vectors(batch)  # [B, W, 2, D]
        entity = self.dropout(torch.cat([mixed[:, :, 0], *rest], dim=2))
        if not self._relations:
            return entity, entity[..., :0]
        relation = self.dropout(torch.cat([mixed[:, :, 1], *rest], dim=2))
        return entity, relation

    def _vectors(self, batch: WordBatch) -> Tensor:
        """Return the vectors of words of all layers, [B, W, L, D]."""
        if not len(self.upper):
            return batch.vectors
        hidden, found = batch.pieces, [batch.vectors]
        absent = torch.zeros_like(batch.mask, dtype=hidden.dtype)
        absent = absent.masked_fill(~batch.mask, torch.finfo(hidden.dtype).min)[:, None, None]
        for layer in self.upper:
            read = layer(hidden, absent)
            hidden = read[0] if isinstance(read, tuple) else read
            found.append((batch.pooling @ hidden)[:, :, None])
        return torch.cat(found, dim=2)

    def tag(self, inputs: Tensor, batch: WordBatch) -> Tensor:
        """Return the logits of the tags of words, [B, W, outputs]."""
        read = self.dropout(self.entity_reader(inputs, batch.present))
        logits: Tensor = self.tagger(read)
        return logits

    def relate(
        self, inputs: Tensor, batch: WordBatch, outputs: Tensor, pairs: EntityPairs
    ) -> Tensor:
        """Return the logits of the relations of pairs, [N, relations].

        Args:
            outputs: tag of each word, int [B, W].
        """
        if not len(pairs.window):
            return inputs.new_zeros((0, self._relations))
        marked = torch.cat([inputs, self.output_vectors(outputs)], dim=2)
        words = self.dropout(self.relation_reader(marked, batch.present))
        rows = self.context(words)[pairs.window]  # [N, W, C]
        head = self._entity(
            words, rows, pairs.window, pairs.head_first, pairs.head_last, pairs.head_label
        )
        tail = self._entity(
            words, rows, pairs.window, pairs.tail_first, pairs.tail_last, pairs.tail_label
        )
        joined = self.head_part(head) + self.tail_part(tail)
        between = self._between(rows, batch.ancestors, pairs)
        logits: Tensor = self.scorer(joined + self.between_part(between))
        return logits

    def _entity(
        self,
        words: Tensor,
        rows: Tensor,
        window: Tensor,
        first: Tensor,
        last: Tensor,
        label: Tensor,
    ) -> Tensor:
        place = torch.arange(words.shape[1], device=words.device)
        inside = _greatest(rows, (place >= first[:, None]) & (place <= last[:, None]))
        ends = (words[window, first], words[window, last])
        return torch.cat([*ends, inside, self.label_vectors(label)], dim=1)

    def _between(self, rows: Tensor, ancestors: Tensor, pairs: EntityPairs) -> Tensor:
        place = torch.arange(rows.shape[1], device=rows.device)
        after = torch.minimum(pairs.head_last, pairs.tail_last)
        before = torch.maximum(pairs.head_first, pairs.tail_first)
        between = (place > after[:, None]) & (place < before[:, None])
        # Words that are above one of the two and not above the other, both included.
        of_head = ancestors[pairs.window, pairs.head_last]
        path = of_head ^ ancestors[pairs.window, pairs.tail_last]
        step = torch.log2((before - after).clamp(min=1).float()).long().clamp(max=_STEPS - 1)
        order = (pairs.head_first < pairs.tail_first).long()
        distance = self.distances(step + _STEPS * order)
        return torch.cat([_greatest(rows, between), _greatest(rows, path), distance], dim=1)


class SharedDropout(nn.Module):
    """Dropout of whole dimensions of a window's words (Gal and Ghahramani, 2016)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, words: Tensor) -> Tensor:
        """Return the words, [B, W, D], without some dimensions while training."""
        if not self.training or not self.share:
            return words
        kept = torch.rand(len(words), 1, words.shape[2], device=words.device) >= self.share
        return words * (kept.to(words.dtype) / (1 - self.share))


class ContextReader(nn.Module):
    """Convolutions over words, each twice as wide as the one before (Strubell et al., 2017).

    The vectors of the transformer know their context already, so that words nearby are enough; an
    LSTM in this place took several times the processor time.
    """

    def __init__(self, size: int, hidden: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(size, hidden)
        self.filters = nn.ModuleList(nn.Linear(3 * hidden, hidden) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(depth))
        self.dropout = SharedDropout(dropout)

    def forward(self, inputs: Tensor, present: Tensor) -> Tensor:
        """Return the vectors of words, [B, W, hidden]; what is not present counts as 0."""
        mask = present[..., None].to(inputs.dtype)
        words = functional.gelu(self.first(inputs)) * mask
        for i, (convolve, norm) in enumerate(zip(self.filters, self.norms, strict=True)):
            around = torch.cat([_moved(words, -(2**i)), words, _moved(words, 2**i)], dim=2)
            words = norm(words + self.dropout(functional.gelu(convolve(around)))) * mask
        return words


def _moved(words: Tensor, steps: int) -> Tensor:
    """Return words moved to the right, or the left where negative, with 0 in the free places."""
    size = words.shape[1]
    near = min(abs(steps), size)
    ends = (near, 0) if steps > 0 else (0, near)
    kept = words[:, : size - near] if steps > 0 else words[:, near:]
    return functional.pad(kept, (0, 0, *ends))


def _greatest(rows: Tensor, mask: Tensor) -> Tensor:
    """Return the greatest value of each dimension over the words of a mask; 0 where it is empty."""
    least = torch.finfo(rows.dtype).min
    greatest = rows.masked_fill(~mask[..., None], least).amax(dim=1)
    return torch.where(mask.any(dim=1, keepdim=True), greatest, torch.zeros_like(greatest))
