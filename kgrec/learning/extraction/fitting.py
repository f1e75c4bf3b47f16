"""Fitting one network: AdamW, warm-up and linear decay, an average of the weights over time.

Deterministic for a seed: batches, noise and dropout of an epoch depend on seed and epoch alone, so
that a training that is continued gives the same weights as one that was not stopped, on the same
machine with the same number of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from kgrec.config import FrozenModel
from kgrec.errors import ModelError
from kgrec.learning.extraction.examples import LearningBatch, Sampler
from kgrec.progress import SILENT, Progress
from kgrec.text.trained.batches import LabelSets
from kgrec.text.trained.features import Window
from kgrec.text.trained.network import ExtractionNetwork
from kgrec.text.trained.tokens import WindowLabels
from kgrec.training.resume import (
    optimiser_state,
    prefixed,
    read_state,
    set_optimiser_state,
    under,
    write_state,
)


class FittingConfig(FrozenModel):
    """How a network is fitted.

    Attributes:
        epochs: passes over the examples; at least `least_steps` are made.
        batch: windows of a step.
        rate: learning rate after warm-up.
        upper_rate: that of the transformer's uppermost layer; each layer below has `upper_decay`
            times that of the one above it.
        warmup: share of the steps in which the rate rises.
        average: decay of the average of the weights over the steps (Polyak and Juditsky, 1992),
            which is what is kept.
        words: share of the words whose vectors are hidden in a step.
        relation_weight: of the loss of relations beside that of tags.
    """

    epochs: int = Field(default=25, ge=1)
    least_steps: int = Field(default=600, ge=0)
    batch: int = Field(default=16, ge=1)
    rate: float = Field(default=1e-3, gt=0)
    upper_rate: float = Field(default=1e-4, gt=0)
    upper_decay: float = Field(default=0.9, gt=0, le=1)
    decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.08, ge=0, le=1)
    average: float = Field(default=0.99, ge=0, lt=1)
    words: float = Field(default=0.08, ge=0, lt=1)
    relation_weight: float = Field(default=1.0, gt=0)
    clip: float = Field(default=5.0, gt=0)


Labelled = Sequence[tuple[Window, WindowLabels]]


class Fitting:
    """One network in training.

    Args:
        examples: labelled windows.
        known: their labels.
        make: a network that is not trained yet.
        seed: decides initial weights, order and noise.
        checkpoint: where the state is kept after each epoch, and read again; None keeps none.

    Attributes:
        wanted, epochs: epochs by the settings, and after they were cut to the time.
    """

    def __init__(
        self,
        examples: Labelled,
        known: LabelSets,
        make: Callable[[], ExtractionNetwork],
        config: FittingConfig,
        *,
        seed: int,
        device: torch.device,
        checkpoint: Path | None = None,
    ) -> None:
        self._config, self._seed, self._checkpoint = config, seed, checkpoint
        self._device = device
        torch.manual_seed(seed)
        self.network = make().to(device)
        self._average = {
            name: one.detach().clone() for name, one in self.network.named_parameters()
        }
        self._rates, groups = self._groups()
        self._optimiser = torch.optim.AdamW(groups, lr=config.rate, weight_decay=config.decay)
        self._sampler = Sampler(examples, known, size=config.batch, seed=seed, device=device)
        self.wanted = max(config.epochs, math.ceil(config.least_steps / self._sampler.steps))
        self.epochs = self.wanted
        self._done = self._step = 0
        self._read()

    def run(
        self,
        *,
        seconds: float | None = None,
        progress: Progress = SILENT,
        name: str = "fit",
        on_epoch: Callable[[int], None] = lambda _: None,
    ) -> ExtractionNetwork:
        """Train to the end and return the network with the averaged weights.

        Args:
            seconds: the number of epochs is cut to what fits, by the time of the first one.
            on_epoch: called with the number of epochs that are done.
        """
        with progress.task(name, total=self.epochs) as task:
            task.advance(self._done)
            while self._done < self.epochs:
                begun = time.monotonic()
                loss = self._epoch()
                self._done += 1
                if seconds is not None and self._done == 1:
                    took = max(time.monotonic() - begun, 1e-3)
                    self.epochs = max(2, min(self.epochs, int(seconds / took)))
                self._write()
                task.describe(f"loss {loss:.2f}")
                task.advance()
                on_epoch(self._done)
        return self.averaged()

    def averaged(self) -> ExtractionNetwork:
        """Return the network with the averaged weights, in evaluation mode."""
        self.network.load_state_dict(self._average)
        return self.network.eval()

    def _epoch(self) -> float:
        self.network.train()
        torch.manual_seed(self._seed * 100_003 + self._done + 1)
        total = 0.0
        for batch in self._sampler.epoch(self._done):
            for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
                group["lr"] = rate * self._share()
            loss = self._loss(batch)
            self._optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), self._config.clip)
            self._optimiser.step()
            self._step += 1
            self._move_average()
            total += float(loss.detach())
        return total / self._sampler.steps

    def _groups(self) -> tuple[list[float], list[dict[str, Any]]]:
        """Return learning rates and parameters: the transformer's layers, and the rest."""
        config, upper = self._config, list(self.network.upper)
        rates = [config.upper_rate * config.upper_decay**i for i in reversed(range(len(upper)))]
        groups: list[dict[str, Any]] = [{"params": list(layer.parameters())} for layer in upper]
        inside = {id(one) for one in self.network.upper.parameters()}
        rest = [one for one in self.network.parameters() if id(one) not in inside]
        return [*rates, config.rate], [*groups, {"params": rest}]

    def _share(self) -> float:
        """Return the share of the learning rate at this step."""
        progress = self._step / (self.epochs * self._sampler.steps)
        warm = self._config.warmup
        return (
            (progress + 1e-3) / warm if progress < warm else max(0.0, (1 - progress) / (1 - warm))
        )

    def _loss(self, batch: LearningBatch) -> Tensor:
        words, network = batch.words, self.network
        hidden = torch.rand(words.tags.shape[:2], device=self._device) < self._config.words
        words.vectors[hidden] = 0
        words.states[hidden] = 0
        words.pieces[(hidden[:, :, None] & (words.pooling > 0)).any(dim=1)] = 0
        entity, relation = network.inputs(words)
        present = words.present
        tags = functional.cross_entropy(
            network.tag(entity, words)[present], batch.tags[present], reduction="sum"
        )
        logits = network.relate(relation, words, batch.outputs, batch.pairs)
        pairs = functional.binary_cross_entropy_with_logits(
            logits, batch.relations, reduction="sum"
        )
        return (tags + self._config.relation_weight * pairs) / len(present)

    @torch.no_grad()
    def _move_average(self) -> None:
        # Early steps count less, so that the initial weights do not stay in the average.
        decay = min(self._config.average, (1 + self._step) / (10 + self._step))
        for name, one in self.network.named_parameters():
            self._average[name].lerp_(one, 1 - decay)

    def _write(self) -> None:
        if self._checkpoint is None:
            return
        moments, counters = optimiser_state(self._optimiser, "optimiser")
        tensors = {
            **prefixed("network", dict(self.network.state_dict())),
            **prefixed("average", self._average),
            **moments,
        }
        record: dict[str, Any] = {"done": self._done, "step": self._step, "epochs": self.epochs}
        write_state(self._checkpoint, tensors, {**record, "counters": counters})

    def _read(self) -> None:
        found = read_state(self._checkpoint) if self._checkpoint else None
        if found is None:
            return
        tensors, record = found
        try:
            self.network.load_state_dict(under("network", tensors))
        except RuntimeError as error:
            raise ModelError(
                "the checkpoint belongs to another training",
                value=str(error).splitlines()[0],
                remedy="Remove it; the training then begins anew.",
            ) from None
        self._average = {k: v.to(self._device) for k, v in under("average", tensors).items()}
        set_optimiser_state(self._optimiser, "optimiser", tensors, record["counters"])
        self._done, self._step, self.epochs = record["done"], record["step"], record["epochs"]
