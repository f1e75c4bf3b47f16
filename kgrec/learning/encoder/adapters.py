"""The trainable weights of a transformer, its forward pass on texts, and merging them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kgrec.errors import ConfigError
from kgrec.learning.encoder.config import EncoderConfig
from kgrec.text.encoder import mean_pooled

_PART = 32
"""Texts in one forward pass; more do not increase the throughput of a CPU."""


@dataclass
class TextReader:
    """A transformer with its tokenizer.

    Attributes:
        max_tokens: maximum length; longer texts are truncated.
        half: whether dense products are computed in bfloat16.
        texts: number of texts read so far.
    """

    tokenizer: Any
    network: Any
    max_tokens: int
    half: bool = False
    texts: int = 0

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors, float32 [N, D]."""
        # Texts of similar length in one batch need little padding.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        parts = [
            self._pooled([texts[row] for row in order[start : start + _PART]])
            for start in range(0, len(order), _PART)
        ]
        back = torch.empty(len(order), dtype=torch.int64)
        back[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(parts)[back.to(parts[0].device)]

    def _pooled(self, texts: list[str]) -> Tensor:
        tokens = self.tokens(texts)
        with self.half_precision():
            hidden = self.network(**tokens).last_hidden_state  # [B, T, D]
        return mean_pooled(hidden, tokens["attention_mask"])

    def half_precision(self) -> torch.autocast:
        """Return a context that computes dense products in bfloat16, where that is faster."""
        kind = self.network.device.type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.half)

    def tokens(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return ids and mask, each int64 [B, T], on the device of the network."""
        self.texts += len(texts)
        found = self.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        )
        return {name: tensor.to(self.network.device) for name, tensor in found.items()}

    def special(self, tokens: Tensor) -> Tensor:
        """Return where the ids are special tokens, bool [B, T]."""
        ids = torch.tensor(self.tokenizer.all_special_ids, device=tokens.device)
        return torch.isin(tokens, ids)


def adapt(network: Any, config: EncoderConfig) -> nn.ParameterDict:
    """Freeze a transformer except for its trainable weights; return those by name.

    `lora` adds low-rank maps to all linear ones (Hu et al. 2022, "LoRA"), which start at zero;
    `top` trains the last layers.

    Raises:
        ConfigError: peft is not installed, or the transformer has no list of layers.
    """
    network.requires_grad_(False)
    if config.adapt == "lora":
        _add_low_rank(network, config.rank)
    else:
        for layer in _layers(network)[-config.layers :]:
            layer.requires_grad_(True)
    learning = [(name, each) for name, each in network.named_parameters() if each.requires_grad]
    return nn.ParameterDict({name.replace(".", "/"): each for name, each in learning})


def merge(network: Any) -> None:
    """Merge the low-rank maps into their linear maps, in place; without any, do nothing."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "get_base_layer"):
                child.merge()
                setattr(parent, name, child.get_base_layer())
    network.requires_grad_(False)


def _add_low_rank(network: Any, rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ConfigError(
            "low-rank adaptation needs peft, which is not installed",
            value="lora",
            remedy="pip install 'kgrec[encoder]', or adapt the top layers: --adapt top.",
        ) from None
    lora = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=_linear_maps(network)
    )
    inject_adapter_in_model(lora, network)


def _linear_maps(network: Any) -> list[str]:
    """Return the names of the linear maps inside the layers; the unused pooler is left out."""
    inside = {id(each) for layer in _layers(network) for each in layer.modules()}
    named = network.named_modules()
    return [name for name, each in named if isinstance(each, nn.Linear) and id(each) in inside]


def _layers(network: Any) -> list[nn.Module]:
    lists = [list(each) for each in network.modules() if isinstance(each, nn.ModuleList)]
    if not lists:
        raise ConfigError(
            "the transformer has no list of layers",
            value=type(network).__name__,
            remedy="Choose another base model.",
        )
    return max(lists, key=len)
