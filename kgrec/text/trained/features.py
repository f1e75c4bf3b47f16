"""What the network reads of a text: vectors of a transformer, letters, tags, and the parse.

A window of W words is a record of arrays. Vectors come from the layers of a pretrained transformer
that are not trained further, so that they are computed once for all epochs and all networks; what
the layers above them read is kept as well. Tags come from the spaCy pipeline, with the states of
its entity recogniser, which was trained on far more names than a file of labels holds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from torch import nn

from kgrec.text.encoder import multiplies_bfloat16
from kgrec.text.trained.beside import FurtherStates
from kgrec.text.trained.tokens import windows

LETTERS = 14
"""Letters of a word that are read: the first ten and the last four."""
_ALPHABET = {chr(code): code - 31 for code in range(32, 127)}
_OTHER_LETTER, _OTHER_CAPITAL = 96, 97
ALPHABET_SIZE = 98
_PIECES = 12
"""Pieces of a word that are read."""
_AT_ONCE = 32
"""Windows that the transformer reads at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A part of a text as the network reads it.

    Attributes:
        offsets: begin and end of each word in the text, in characters.
        vectors: of each frozen layer of the transformer, the mean of a word's pieces,
            float16 [W, L, D].
        pieces: of the uppermost frozen layer, float16 [P, D]; empty where all are frozen.
        owners: word of each piece, -1 for a special one, [P].
        tags: part of speech, dependency, and entity of the recogniser, as text [W][T]; with known
            names a fourth one.
        letters: int [W, LETTERS].
        states: of the recogniser, and of a further transformer, float32 [W, S].
        ancestors: whether the second word is the first or above it in the parse, bool [W, W].
    """

    offsets: tuple[tuple[int, int], ...]
    vectors: NDArray[np.float16]
    pieces: NDArray[np.float16]
    owners: NDArray[np.int64]
    tags: tuple[tuple[str, ...], ...]
    letters: NDArray[np.int64]
    states: NDArray[np.float32]
    ancestors: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.offsets)


class FeatureReader:
    """Turns texts into windows.

    Args:
        nlp: a spaCy pipeline; what it lacks (parser, recogniser) is left empty.
        tokenizer, encoder: of transformers, the encoder on the device where it is to run; its upper
            layers are removed from it.
        tuned: layers of the transformer, from the top, that networks have of their own; 0 where the
            transformer is built in another way than BERT.
        beside: reads further states, which stand behind those of the recogniser.

    Attributes:
        state_size, layers, size: S, L and D of the windows.
    """

    def __init__(
        self,
        nlp: Language,
        tokenizer: Any,
        encoder: Any,
        *,
        tuned: int = 0,
        beside: FurtherStates | None = None,
    ) -> None:
        self._nlp, self._tokenizer, self._encoder = nlp, tokenizer, encoder
        self._beside = beside
        stack = getattr(getattr(encoder, "encoder", None), "layer", ())
        self._upper = list(stack)[max(0, len(stack) - tuned) :] if tuned else []
        self._states = _state_model(nlp)
        self._own = 0 if self._states is None else int(self._states.get_dim("nO"))
        self.state_size = self._own + (beside.size if beside else 0)
        self.layers = int(encoder.config.num_hidden_layers) + 1 - len(self._upper)
        if self._upper:
            # What networks have of their own need not be run here as well.
            encoder.encoder.layer = nn.ModuleList(list(stack)[: -len(self._upper)])
        self.size = int(encoder.config.hidden_size)

    def upper(self) -> list[nn.Module]:
        """Return copies of the layers that networks have of their own."""
        return [copy.deepcopy(layer).requires_grad_(True) for layer in self._upper]

    def read(self, texts: Iterable[str], *, at_once: int = 256) -> Iterator[list[Window]]:
        """Yield the windows of each text, in order.

        Args:
            at_once: texts that are held while the transformer reads them sorted by length.
        """
        stream = iter(texts)
        while batch := list(islice(stream, at_once)):
            docs = list(self._nlp.pipe(batch))
            parts = [(doc, start, end) for doc in docs for start, end in windows(doc)]
            states = dict(zip(map(id, docs), self._states_of(docs), strict=True))
            if self._beside is not None:
                for doc, more in zip(docs, self._beside.read(docs), strict=True):
                    states[id(doc)] = np.concatenate([states[id(doc)], more], axis=1)
            read = self._vectors([[doc[i].text for i in range(s, e)] for doc, s, e in parts])
            found: dict[int, list[Window]] = {id(doc): [] for doc in docs}
            for (doc, start, end), one in zip(parts, read, strict=True):
                found[id(doc)].append(_window(doc, start, end, one, states[id(doc)]))
            yield from (found[id(doc)] for doc in docs)

    def _states_of(self, docs: Sequence[Doc]) -> list[NDArray[np.float32]]:
        """Return the states of the recogniser of each doc, all computed at once."""
        found = [np.zeros((len(doc), self._own), dtype=np.float32) for doc in docs]
        rows = [row for row, doc in enumerate(docs) if len(doc)]
        if self._states is None or not rows:
            return found
        read = self._states.predict([docs[row] for row in rows])
        if not isinstance(read, list):  # those of all words in one array
            read = np.split(read, np.cumsum([len(docs[row]) for row in rows])[:-1])
        for row, states in zip(rows, read, strict=True):
            found[row] = np.asarray(states, dtype=np.float32)
        return found

    def _vectors(self, texts: Sequence[Sequence[str]]) -> list[_Vectors]:
        """Return the vectors of each window."""
        pieces = [self._pieces(words) for words in texts]
        order = sorted(range(len(texts)), key=lambda i: len(pieces[i][0]))
        found: dict[int, _Vectors] = {}
        for start in range(0, len(order), _AT_ONCE):
            rows = order[start : start + _AT_ONCE]
            for row, hidden in zip(rows, self._hidden([pieces[i][0] for i in rows]), strict=True):
                owners = np.asarray(pieces[row][1], dtype=np.int64)
                words = _pooled(hidden, owners, len(texts[row]))
                kept = hidden[:, -1] if self._upper else hidden[:0, -1]
                found[row] = (words, kept.astype(np.float16), owners)
        return [found[i] for i in range(len(texts))]

    def _pieces(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """Return the ids of the pieces with the special ones, and the word of each, or -1."""
        found = self._tokenizer(list(words), add_special_tokens=False)["input_ids"]
        ids, owners = [self._tokenizer.cls_token_id], [-1]
        for i, one in enumerate(found):
            kept = one[:_PIECES] or [self._tokenizer.unk_token_id]
            ids += kept
            owners += [i] * len(kept)
        most = int(self._encoder.config.max_position_embeddings) - 3
        return [*ids[:most], self._tokenizer.sep_token_id], [*owners[:most], -1]

    @torch.inference_mode()
    def _hidden(self, pieces: Sequence[Sequence[int]]) -> Iterator[NDArray[np.float32]]:
        """Yield the layers of each window, float32 [P, L, D]."""
        device = self._encoder.device
        width = max(map(len, pieces))
        padding = self._tokenizer.pad_token_id
        ids = torch.tensor([[*one, *[padding] * (width - len(one))] for one in pieces])
        mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in pieces])
        fast = device.type == "cpu" and multiplies_bfloat16()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            layers = self._encoder(
                input_ids=ids.to(device),
                attention_mask=mask.to(device),
                output_hidden_states=True,
            ).hidden_states[: self.layers]
        stacked = torch.stack(layers, dim=2).float().cpu().numpy()  # [B, P, L, D]
        yield from (stacked[i, : len(one)] for i, one in enumerate(pieces))


_Vectors = tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.int64]]
"""`vectors`, `pieces` and `owners` of a window."""


def _pooled(
    hidden: NDArray[np.float32], owner: NDArray[np.int64], words: int
) -> NDArray[np.float16]:
    """Return the mean of the pieces of each word; 0 for a word that was cut off."""
    rows = np.flatnonzero(owner >= 0)
    found, first, counts = np.unique(owner[rows], return_index=True, return_counts=True)
    means = np.zeros((words, *hidden.shape[1:]), dtype=np.float16)
    if len(rows):  # pieces of a word follow each other
        means[found] = np.add.reduceat(hidden[rows], first) / counts[:, None, None]
    return means


def _window(doc: Doc, start: int, end: int, read: _Vectors, states: NDArray[np.float32]) -> Window:
    vectors, pieces, owners = read
    words = [doc[i] for i in range(start, end)]
    heads = [
        word.head.i - start if start <= word.head.i < end else i for i, word in enumerate(words)
    ]
    return Window(
        offsets=tuple((word.idx, word.idx + len(word)) for word in words),
        vectors=vectors,
        pieces=pieces,
        owners=owners,
        tags=tuple((word.tag_, word.dep_, _entity(word)) for word in words),
        letters=np.array([_letters(word.text) for word in words], dtype=np.int64),
        states=states[start:end],
        ancestors=_ancestors(heads),
    )


def _ancestors(heads: Sequence[int]) -> NDArray[np.bool_]:
    size = len(heads)
    parents = np.asarray(heads)
    found = np.eye(size, dtype=np.bool_)
    at = np.arange(size)
    for _ in range(size):
        above = parents[at]
        if np.array_equal(above, at):
            break
        found[np.arange(size), above] = True
        at = above
    return found


def _state_model(nlp: Language) -> Any:
    """Return the part of the recogniser that computes states, or None."""
    if not nlp.has_pipe("ner"):
        return None
    model: Any = getattr(nlp.get_pipe("ner"), "model", None)
    if model is None or not model.has_ref("tok2vec"):
        return None
    part = model.get_ref("tok2vec")
    return part if part.has_dim("nO") else None


def _entity(word: Any) -> str:
    return f"{word.ent_iob_}-{word.ent_type_}" if word.ent_type_ else "O"


def _letters(word: str) -> list[int]:
    read = word if len(word) <= LETTERS else word[: LETTERS - 4] + word[-4:]
    ids = [_ALPHABET.get(c, _OTHER_CAPITAL if c.isupper() else _OTHER_LETTER) for c in read]
    return ids + [0] * (LETTERS - len(ids))
