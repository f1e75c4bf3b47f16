"""Adaptation of a sentence encoder: load, add trainable weights, train in two phases, merge.

The folder of an adapted encoder holds plain weights for transformers, and a record of its origin.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from kgrec.config import FrozenModel
from kgrec.errors import ConfigError, DataError
from kgrec.learning.encoder.adapters import TextReader, adapt, merge
from kgrec.learning.encoder.config import EncoderConfig, PhaseConfig
from kgrec.learning.encoder.objective import EncoderProblem, MaskedHead, TextCatalogue
from kgrec.learning.encoder.pairs import Augmenter
from kgrec.model.checkpoint import writing_directory
from kgrec.progress import SILENT, Progress
from kgrec.text.encoder import has_fast_bfloat16, load_transformer, quiet
from kgrec.text.models import resolve_transformer
from kgrec.training.logs import TrainingFiles
from kgrec.training.loop import seeded, train
from kgrec.training.optimisation import Schedule
from kgrec.training.resume import read_state, write_state

Phase = Literal["masked", "contrast"]
SHARES: dict[Phase, float] = {"masked": 0.25, "contrast": 0.75}
"""Share of each phase in the time budget."""


class PhaseReport(FrozenModel):
    """The result of a phase.

    Attributes:
        steps: step of the weights that were kept; 0 where none was better than the initial ones.
        before, after: metric of held-out items: minus the loss of masked tokens, or the mean
            reciprocal rank of partners; larger is better. None where no item could be held out.
            The metric of masked tokens includes the gain of their head, which is discarded.
        losses: mean loss of the first and of the last tenth of the steps.
        seconds: wall time.
        texts_per_second: training throughput.
    """

    steps: int
    before: float | None
    after: float | None
    losses: tuple[float, float]
    seconds: float
    texts_per_second: float


@dataclass(frozen=True)
class Adapted:
    """An adapted encoder: plain weights again, on the CPU.

    Attributes:
        phases: result of each phase.
    """

    tokenizer: Any
    network: Any
    phases: dict[str, PhaseReport]


@dataclass(frozen=True)
class Work:
    """Working folder and time budget of an adaptation.

    Attributes:
        folder: folder of the checkpoint from which an interrupted adaptation resumes; None
            writes none.
        fingerprint: hash of data and settings; a checkpoint with another one is an error.
        budget: approximate seconds, from which the number of steps follows; None uses the steps
            of the settings.
        save_every: seconds between two checkpoints.
    """

    folder: Path | None = None
    fingerprint: str = ""
    budget: float | None = None
    save_every: float = 60.0


def adapt_encoder(
    catalogue: TextCatalogue,
    config: EncoderConfig,
    *,
    augmenter: Augmenter | None = None,
    work: Work | None = None,
    progress: Progress = SILENT,
) -> Adapted:
    """Adapt a sentence encoder to a catalogue.

    First masked-language training on its texts, which is domain-adaptive pre-training (Gururangan
    et al. 2020, "Don't Stop Pretraining"), with a head that starts as the identity instead of a
    trained one; then contrastive training on pairs of items (multiple negatives ranking, as in
    Sentence-BERT) that share users or rare facts; related items are no negatives. Only added or top
    weights are trained. Items are held out from both phases; where these gain nothing, a phase
    leaves the weights unchanged.

    Raises:
        DataError: there is nothing to learn from: no texts, or no pairs for a contrast.
        ModelError: the base cannot be loaded, a loss is not finite, or a checkpoint is of another
            run.
        ConfigError: peft is missing, torch cannot use the device, or the base has no mask token.
    """
    work = work or Work()
    tokenizer, network = load_transformer(resolve_transformer(config.base), config.device)
    with seeded(config.seed):
        weights = adapt(network, config)
        half = config.device != "cpu" or has_fast_bfloat16()
        reader = TextReader(tokenizer, network, config.max_tokens, half=half)
        run = _Run(catalogue, config, reader, weights, augmenter or Augmenter(config.augment))
        reports: dict[str, PhaseReport] = {
            name: run.phase(name, phase, work, progress) for name, phase in run.phases()
        }
    merge(network)
    return Adapted(tokenizer, network.eval().cpu(), reports)


class _Run:
    """One adaptation and its state."""

    def __init__(
        self,
        catalogue: TextCatalogue,
        config: EncoderConfig,
        reader: TextReader,
        weights: nn.ParameterDict,
        augmenter: Augmenter,
    ) -> None:
        self._config, self._reader, self._weights = config, reader, weights
        self._generator = np.random.default_rng(config.seed)
        self._problem = EncoderProblem(catalogue, reader, config, augmenter, self._generator)
        _check(self._problem, config, reader.tokenizer)

    def phases(self) -> list[tuple[Phase, PhaseConfig]]:
        """Return the phases in order."""
        both: list[tuple[Phase, PhaseConfig | None]] = [
            ("masked", self._config.masked),
            ("contrast", self._config.contrast),
        ]
        return [(name, phase) for name, phase in both if phase is not None]

    def phase(self, name: Phase, phase: PhaseConfig, work: Work, progress: Progress) -> PhaseReport:
        """Train the weights with the loss of a phase."""
        begun, texts = time.perf_counter(), self._reader.texts
        schedule = self._planned(name, phase, work)
        untouched = {key: each.detach().clone() for key, each in self._weights.items()}
        files = TrainingFiles(None, work.folder, work.fingerprint, work.save_every)
        with seeded(self._config.seed):
            self._rewind(name)
            model, loss, measure = self._parts(name, phase)
            before = measure() if measure else None
            self._reader.network.train()
            trained = train(
                model,
                loss,
                schedule,
                measure=measure,
                name=name,
                progress=progress,
                generator=self._generator,
                files=files,
            )
        steps = trained.steps
        if before is not None and trained.best is not None and trained.best <= before:
            steps = 0
            with torch.no_grad():
                for key, each in self._weights.items():
                    each.copy_(untouched[key])
        seconds = time.perf_counter() - begun
        tenth = max(1, len(trained.losses) // 10)
        return PhaseReport(
            steps=steps,
            before=before,
            after=max(
                (value for value in (before, trained.best) if value is not None), default=None
            ),
            losses=(
                float(np.mean(trained.losses[:tenth])),
                float(np.mean(trained.losses[-tenth:])),
            ),
            seconds=round(seconds, 1),
            texts_per_second=round((self._reader.texts - texts) / seconds, 1),
        )

    def _parts(
        self, name: Phase, phase: PhaseConfig
    ) -> tuple[nn.Module, Callable[[], Tensor], Callable[[], float] | None]:
        """Return the module that is trained, its loss and its validation metric."""
        problem = self._problem
        if name == "masked":
            head = MaskedHead(self._reader.network).to(self._reader.network.device)
            model = nn.ModuleDict({"encoder": self._weights, "head": head})
            measure = problem.masked_measure(head) if problem.held.any() else None
            return model, problem.masked_loss(head, phase.batch), measure
        contrast = problem.contrast_measure() if len(problem.wanted) > 1 else None
        return self._weights, problem.contrast_loss(phase.batch), contrast

    def _rewind(self, name: Phase) -> None:
        """Seed the generators of a phase, independent of the phases before."""
        begin = np.random.default_rng([self._config.seed, len(name)])
        self._generator.bit_generator.state = begin.bit_generator.state

    def _planned(self, name: Phase, phase: PhaseConfig, work: Work) -> Schedule:
        """Return the schedule that fits into the budget; a resumed run gets the same one."""
        schedule = phase.schedule
        if work.budget is None:
            return schedule
        path = None if work.folder is None else work.folder / f"{name}.plan.safetensors"
        known = None if path is None else read_state(path)
        if known is not None:
            return schedule.stretched(float(known[1]["factor"]))
        shares = [SHARES[other] for other, _ in self.phases()]
        factor = self._factor(name, phase, work.budget * SHARES[name] / sum(shares))
        if path is not None:
            write_state(path, {}, {"factor": factor})
        return schedule.stretched(factor)

    def _factor(self, name: Phase, phase: PhaseConfig, seconds: float) -> float:
        """Return the share of the steps that fits into some seconds, at most 1, by timing two."""
        schedule = phase.schedule
        with seeded(self._config.seed):
            _, loss, measure = self._parts(name, phase)
            self._reader.network.train()
            begun = time.perf_counter()
            for _ in range(2):
                loss().backward()  # type: ignore[no-untyped-call]
            step = schedule.accumulate * (time.perf_counter() - begun) / 2
            begun = time.perf_counter()
            if measure is not None:
                measure()
            look = time.perf_counter() - begun
        looks = 2 + schedule.steps // schedule.check_every
        return min(1.0, max(seconds - 2 * step - looks * look, step) / (schedule.steps * step))


def _check(problem: EncoderProblem, config: EncoderConfig, tokenizer: Any) -> None:
    if config.masked is not None and tokenizer.mask_token_id is None:
        raise ConfigError(
            "the base model has no mask token",
            value=config.base,
            remedy="Choose another, or learn from the pairs alone: --no-masked.",
        )
    if not len(problem.learned):
        raise DataError(
            "there is no text to adapt an encoder to",
            remedy="Give items a title, a description, or facts with names.",
        )
    if config.contrast is not None and not problem.sampler:
        raise DataError(
            "no two items with a text belong together: neither users nor facts connect them",
            remedy="Give interactions or facts, or learn from the words alone: --no-contrast.",
        )


RECORD = "kgrec.json"
"""Record of base, data, settings and metrics; transformers does not read it."""


def save_encoder(adapted: Adapted, folder: Path, record: dict[str, Any]) -> None:
    """Write weights, tokenizer and record, atomically; an encoder in the folder is replaced.

    Raises:
        DataError: the folder holds something else.
        ModelError: it cannot be written.
    """
    check_free(folder)
    with writing_directory(folder) as fresh, quiet():
        adapted.network.save_pretrained(fresh)
        adapted.tokenizer.save_pretrained(fresh)
        text = json.dumps(record, indent=2, ensure_ascii=False)
        (fresh / RECORD).write_text(f"{text}\n", encoding="utf-8")


def check_free(folder: Path) -> None:
    """Raise DataError where a folder holds something else than an encoder of kgrec."""
    if not folder.exists() or (folder / RECORD).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise DataError(
            "an encoder would replace what is there already",
            value=str(folder),
            remedy="Name a folder that does not exist yet: --out.",
        )
