"""The settings of an adaptation of the sentence encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.text.models import SENTENCE_MODEL
from kgrec.training.optimisation import Schedule

Adapt = Literal["lora", "top"]


_FINE = Schedule(rate=3e-4, curve="cosine", decay=0.1, clip=1.0, check_every=25, check_from=25)


class PhaseConfig(FrozenModel):
    """Settings of one of the two phases.

    Attributes:
        batch: texts (masked tokens) or pairs (contrast) of a step.
        schedule: steps, learning rate and early stopping; with a budget, `steps` follows from it.
    """

    batch: int = Field(default=32, ge=2)
    schedule: Schedule = _FINE


class MaskedConfig(PhaseConfig):
    """Masked-language training on the texts of the catalogue."""

    schedule: Schedule = _FINE.model_copy(update={"steps": 100, "warmup": 10, "patience": 2})


class ContrastPhaseConfig(PhaseConfig):
    """Contrastive training on pairs of related items."""

    schedule: Schedule = _FINE.model_copy(update={"steps": 300, "warmup": 20, "patience": 3})


class AugmentConfig(FrozenModel):
    """Augmentation of the training texts.

    Attributes:
        share: share of the texts that are augmented.
        drop_words: share of the words of such a text that are dropped independently.
        drop_span: share of the words that are dropped as one span.
        synonyms: share of the words with a synonym that are replaced.
        paraphrases: number of paraphrases of a text that a language model is queried for.
    """

    share: float = Field(default=0.5, ge=0, le=1)
    drop_words: float = Field(default=0.1, ge=0, lt=1)
    drop_span: float = Field(default=0.1, ge=0, lt=1)
    synonyms: float = Field(default=0.3, ge=0, le=1)
    paraphrases: int = Field(default=1, ge=0)


class EncoderConfig(FrozenModel):
    """Settings of the adaptation.

    Attributes:
        base: the model that is adapted: a folder, an installed model's name or a hub id.
        adapt: `lora` trains low-rank additions to all linear maps, `top` the last layers.
        rank: rank of the additions.
        layers: number of last layers that `top` trains.
        max_tokens: maximum length; longer texts are truncated.
        masked: masked-language training before the contrast; None skips it.
        contrast: contrastive training on pairs; None skips it.
        mask: share of the tokens that are predicted.
        tau: temperature of the cosine of a pair.
        facts: share of the pairs whose items have rare entities in common; the other pairs share
            users.
        neighbours: maximum number of partners of an item, the nearest.
        held_out: share of the items that are held out for early stopping.
        most_held_out: maximum number of held-out items.
        augment: augmentation of the texts.
        seed: seed of all random generators.
        device: `cpu`, or `cuda` for the GPU.
    """

    base: str = SENTENCE_MODEL
    adapt: Adapt = "lora"
    rank: int = Field(default=16, ge=1)
    layers: int = Field(default=2, ge=1)
    max_tokens: int = Field(default=128, ge=8, le=512)
    masked: MaskedConfig | None = None
    contrast: ContrastPhaseConfig | None = ContrastPhaseConfig()
    mask: float = Field(default=0.15, gt=0, lt=1)
    tau: float = Field(default=0.05, gt=0)
    facts: float = Field(default=0.25, ge=0, le=1)
    neighbours: int = Field(default=30, ge=1)
    held_out: float = Field(default=0.1, gt=0, lt=1)
    most_held_out: int = Field(default=256, ge=2)
    augment: AugmentConfig = AugmentConfig()
    seed: int = Field(default=2024, ge=0, lt=2**63)
    device: str = "cpu"
