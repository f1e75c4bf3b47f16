"""A causal language model that runs here: how likely it finds continuations of a text.

What a text and its continuations share is read once; the states of a prefix are kept by
transformers as keys and values.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from kgrec.errors import ModelError
from kgrec.text.encoder import load_transformer, multiplies_bfloat16
from kgrec.text.models import content_key, resolve_transformer

_AT_ONCE = 32
"""Continuations that are read together."""


@dataclass(frozen=True, eq=False)
class Prefix:
    """A text as the model has read it, but for its last token.

    Attributes:
        ids: its tokens.
        states: keys and values of all but the last.
    """

    ids: tuple[int, ...]
    states: Any


class CausalModel:
    """Reads texts and scores continuations.

    Args:
        name: folder, installed package or hub id of a causal language model.

    Attributes:
        name: as given.
        content: changes with its weights.

    Raises:
        ModelError: it cannot be loaded.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        resolved = resolve_transformer(name)
        self.name = name
        self._tokenizer, self._network = load_transformer(resolved, device, generates=True)
        self.content = content_key(resolved) or name
        self._fast = device == "cpu" and multiplies_bfloat16()
        named = inspect.signature(type(self._network).forward).parameters
        self._states = "cache" if "cache" in named else "past_key_values"  # by release
        self.longest = int(getattr(self._network.config, "max_position_embeddings", 1024))

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text, nothing added."""
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def read(self, text: str, before: Prefix | None = None) -> Prefix:
        """Return a text, or one prefix and a text behind it, as the model has read it.

        Raises:
            ModelError: it is longer than the model can read.
        """
        new = self.tokens(text)
        if before is None:
            first = self._tokenizer.bos_token_id
            new = [*([] if first is None else [first]), *new]
        ids = (*(() if before is None else before.ids), *new)
        if len(ids) > self.longest:
            raise ModelError(
                "a text is longer than the language model can read",
                value=f"{len(ids)} tokens, at most {self.longest}",
                remedy="Use a model with a longer context.",
            )
        read = 0 if before is None else len(before.ids) - 1
        states = DynamicCache() if before is None else copy.deepcopy(before.states)
        if len(ids) - 1 > read:
            self._logits([ids[read:-1]], states)
        return Prefix(ids, states)

    def likelihoods(
        self, before: Prefix, continuations: Sequence[Sequence[int]]
    ) -> NDArray[np.float64]:
        """Return the logarithm of the probability of each continuation, float64 [N].

        Args:
            continuations: their tokens, each at least one.
        """
        found: list[float] = []
        for start in range(0, len(continuations), _AT_ONCE):
            found += self._likelihoods(before, continuations[start : start + _AT_ONCE])
        return np.array(found, dtype=np.float64)

    def _likelihoods(self, before: Prefix, some: Sequence[Sequence[int]]) -> list[float]:
        width = max(map(len, some))
        # Each begins with the last token of the prefix, which has not been read yet.
        rows = [[before.ids[-1], *one, *[0] * (width - len(one))][:width] for one in some]
        states = copy.deepcopy(before.states)
        if states.get_seq_length():
            states.batch_repeat_interleave(len(some))
        chances = torch.log_softmax(self._logits(rows, states), dim=-1)  # [N, width, V]
        return [
            float(chances[row, torch.arange(len(one)), torch.tensor(list(one))].sum())
            for row, one in enumerate(some)
        ]

    @torch.inference_mode()
    def _logits(self, rows: Sequence[Sequence[int]], states: Any) -> torch.Tensor:
        """Read tokens behind states, to which they are added; padding stands behind them."""
        ids = torch.tensor([list(row) for row in rows], device=self._network.device)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._fast):
            read = self._network(input_ids=ids, use_cache=True, **{self._states: states})
        logits: torch.Tensor = read.logits.float()
        return logits
