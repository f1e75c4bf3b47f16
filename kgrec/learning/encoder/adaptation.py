"""The adaptation of a sentence encoder: load, adapt, train in two phases, merge.

The folder of an adapted encoder: what transformers loads plainly, and where it came from.
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
"""How a budget is parted between the phases."""


class PhaseReport(FrozenModel):
    """What a phase did.

    Attributes:
        steps: of the weights that were kept; 0 where none was better than those before.
        before, after: what held-out items measure: minus the loss of hidden words, or the mean
            reciprocal rank of partners; larger is better. None where no item could be held out.
            Of the words a part is what their head learned, which nothing uses afterwards.
        losses: mean loss of the first and of the last tenth of the steps.
        seconds: wall time.
        texts_per_second: that were learned from.
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
        phases: what was done, by phase.
    """

    tokenizer: Any
    network: Any
    phases: dict[str, PhaseReport]


@dataclass(frozen=True)
class Work:
    """Where and how long an adaptation works.

    Attributes:
        folder: of the state from which an interrupted adaptation continues; None keeps none.
        fingerprint: of the data and the settings; the state of others is an error.
        budget: seconds, about; steps are what fits in. None: the steps of the settings.
        save_every: seconds between two savings of the state.
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

    Masked-language training on its texts, which is domain-adaptive pre-training (Gururangan et
    al. 2020, "Don't Stop Pretraining"), with a head that begins as the identity instead of a
    trained one; then contrastive training on pairs (multiple negatives ranking, as in Sentence-
    BERT), where pairs are of items of the same users or alike by rare facts, and what belongs
    together is no negative. In both only added or top weights learn. Items are held out from
    both; where they gain nothing a phase leaves the weights as they were.

    Raises:
        DataError: there is nothing to learn from: no texts, or no pairs for a contrast.
        ModelError: the base cannot be loaded, a loss is no number, or a state is of another run.
        ConfigError: peft is missing, torch cannot use the device, or the base hides no words.
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
    """One adaptation under way."""

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
        """Return what is to be done, in order."""
        both: list[tuple[Phase, PhaseConfig | None]] = [
            ("masked", self._config.masked),
            ("contrast", self._config.contrast),
        ]
        return [(name, phase) for name, phase in both if phase is not None]

    def phase(self, name: Phase, phase: PhaseConfig, work: Work, progress: Progress) -> PhaseReport:
        """Train the weights by one of the losses."""
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
        """Return what learns, its loss, and what it is measured by."""
        problem = self._problem
        if name == "masked":
            head = MaskedHead(self._reader.network).to(self._reader.network.device)
            model = nn.ModuleDict({"encoder": self._weights, "head": head})
            measure = problem.masked_measure(head) if problem.held.any() else None
            return model, problem.masked_loss(head, phase.batch), measure
        contrast = problem.contrast_measure() if len(problem.wanted) > 1 else None
        return self._weights, problem.contrast_loss(phase.batch), contrast

    def _rewind(self, name: Phase) -> None:
        """Begin the draws of a phase, whatever was drawn before."""
        begin = np.random.default_rng([self._config.seed, len(name)])
        self._generator.bit_generator.state = begin.bit_generator.state

    def _planned(self, name: Phase, phase: PhaseConfig, work: Work) -> Schedule:
        """Return the schedule that fits into the budget, the same again when a run goes on."""
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
        """Return which share of the steps takes so many seconds, at most 1; two are timed."""
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
            "the base model has no token that hides a word",
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
"""Says base, data, settings and metrics; transformers does not read it."""


def save_encoder(adapted: Adapted, folder: Path, record: dict[str, Any]) -> None:
    """Write weights, tokenizer and record, whole or not at all.

    An encoder that was there before is replaced.

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
    """Raise DataError where a folder holds something that is no encoder of kgrec."""
    if not folder.exists() or (folder / RECORD).is_file():
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise DataError(
            "an encoder would replace what is there already",
            value=str(folder),
            remedy="Name a folder that does not exist yet: --out.",
        )
