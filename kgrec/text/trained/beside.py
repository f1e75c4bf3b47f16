"""States of a further transformer, which is not trained: a small language model, say.

A language model was trained on far more text than a sentence transformer, and knows far more names.
The states in the middle of it serve best, since the last ones are about the next word (Tenney et
al., ACL 2019; Liu et al., NAACL 2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from spacy.tokens import Doc
from torch import nn

from kgrec.text.encoder import has_fast_bfloat16

_WORDS = 256
"""Words that are read at once; what is further away is not seen."""
_PARTS = 16
_LEAST = 1e-6


class FurtherStates:
    """Reads the states of the middle layer of a transformer for each word.

    Args:
        tokenizer, network: of transformers, the network on the device where it is to run; layers
            behind the one that is read are removed from it.

    Attributes:
        size: D of the states.
    """

    def __init__(self, tokenizer: Any, network: Any) -> None:
        self._tokenizer, self._network = tokenizer, network
        self._layer = max(1, int(network.config.num_hidden_layers) // 2)
        self.size = int(network.config.hidden_size)
        _shorten(network, self._layer + 1)

    def read(self, docs: Sequence[Doc]) -> list[NDArray[np.float32]]:
        """Return the states of the words of each doc, float32 [W, D], of length √D each."""
        found = [np.zeros((len(doc), self.size), dtype=np.float32) for doc in docs]
        parts = [
            (row, doc[start : start + _WORDS])
            for row, doc in enumerate(docs)
            for start in range(0, len(doc), _WORDS)
        ]
        parts.sort(key=lambda part: len(part[1].text))
        for at in range(0, len(parts), _PARTS):
            batch = parts[at : at + _PARTS]
            texts = [span.text for _, span in batch]
            for (row, span), (states, offsets) in zip(batch, self._states(texts), strict=True):
                for word in span:
                    start = word.idx - span.start_char
                    last = _last_piece(offsets, start, start + len(word))
                    if last is not None:
                        found[row][word.i] = states[last]
        for states in found:
            length = np.linalg.norm(states, axis=1, keepdims=True) / np.sqrt(self.size)
            states /= np.maximum(length, _LEAST)
        return found

    @torch.inference_mode()
    def _states(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[NDArray[np.float32], list[tuple[int, int]]]]:
        """Yield the states of the pieces of each text, and where each piece stands."""
        most = min(4 * _WORDS, int(self._network.config.max_position_embeddings) - 2)
        read = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            return_offsets_mapping=True,
            truncation=True,
            max_length=most,
        )
        first = self._tokenizer.bos_token_id
        if first is None:
            first = self._tokenizer.cls_token_id
        ids = [[*([] if first is None else [first]), *one] for one in read["input_ids"]]
        width = max(map(len, ids))
        device = self._network.device
        filled = torch.tensor([[*one, *[0] * (width - len(one))] for one in ids], device=device)
        mask = torch.tensor(
            [[1] * len(one) + [0] * (width - len(one)) for one in ids], device=device
        )
        fast = device.type == "cpu" and has_fast_bfloat16()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
            layers = self._network(
                input_ids=filled, attention_mask=mask, output_hidden_states=True
            ).hidden_states
        states = layers[self._layer].float().cpu().numpy()
        for row, offsets in enumerate(read["offset_mapping"]):
            begin = len(ids[row]) - len(offsets)
            yield states[row, begin : len(ids[row])], [(int(a), int(b)) for a, b in offsets]


def _last_piece(offsets: Sequence[tuple[int, int]], start: int, end: int) -> int | None:
    """Return the last piece that overlaps a word; pieces may begin with the space before it."""
    found = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
    return found[-1] if found else None


def _shorten(network: Any, layers: int) -> None:
    """Remove the layers behind those that are needed, where they are kept as usual."""
    for holder, name in ((network, "layers"), (getattr(network, "encoder", None), "layer")):
        stack = getattr(holder, name, None)
        if isinstance(stack, nn.ModuleList):
            setattr(holder, name, stack[:layers])
