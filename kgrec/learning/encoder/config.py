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
    """One of the two trainings.

    Attributes:
        batch: texts of a step (masked words), or pairs (contrast).
        schedule: steps, rates and when to stop; `steps` is what fits in where a budget is given.
    """

    batch: int = Field(default=32, ge=2)
    schedule: Schedule = _FINE


class MaskedConfig(PhaseConfig):
    """Learning the words of the catalogue."""

    schedule: Schedule = _FINE.model_copy(update={"steps": 100, "warmup": 10, "patience": 2})


class ContrastPhaseConfig(PhaseConfig):
    """Learning which items belong together."""

    schedule: Schedule = _FINE.model_copy(update={"steps": 300, "warmup": 20, "patience": 3})


class AugmentConfig(FrozenModel):
    """How texts are changed before they are learned from.

    Attributes:
        share: of the texts that are changed at all.
        drop_words: share of the words of such a text that are left out, one by one.
        drop_span: share of the words that are left out in one piece.
        synonyms: share of the words with a synonym that are put in other words.
        paraphrases: how many paraphrases of a text a language model is asked for.
    """

    share: float = Field(default=0.5, ge=0, le=1)
    drop_words: float = Field(default=0.1, ge=0, lt=1)
    drop_span: float = Field(default=0.1, ge=0, lt=1)
    synonyms: float = Field(default=0.3, ge=0, le=1)
    paraphrases: int = Field(default=1, ge=0)


class EncoderConfig(FrozenModel):
    """What is adapted, and how.

    Attributes:
        base: the model that is adapted: a folder, an installed model's name or a hub id.
        adapt: `lora` learns low-rank additions to all of its linear maps, `top` its last layers.
        rank: of the additions.
        layers: how many of the last layers `top` learns.
        max_tokens: longer texts are cut.
        masked: masked-language training before the contrast; None leaves it out.
        contrast: contrastive training on pairs; None leaves it out.
        mask: share of the tokens that are to be guessed.
        tau: temperature of the cosine of a pair.
        facts: share of the pairs that are of items with rare entities in common; the others are
            interacted with by the same users.
        neighbours: how many partners an item has at most, the nearest.
        held_out: share of the items that nothing is learned from, to stop early by.
        most_held_out: at most so many of those.
        augment: how texts are changed.
        seed: fixes every random draw.
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
