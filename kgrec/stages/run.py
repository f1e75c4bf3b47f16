"""Run a pipeline: its stages in order, each with its result and its time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgrec.config import FrozenModel, parse_config
from kgrec.data.origins.remote import is_there
from kgrec.data.public import user_cache
from kgrec.data.sources import Source
from kgrec.graph.store import GraphStore
from kgrec.progress import SILENT, Progress
from kgrec.schema import load_schema
from kgrec.stages.dry_run import DryRun, dry_run
from kgrec.stages.ingest import ingest, prepare
from kgrec.stages.loading.reading import PreparedSource
from kgrec.stages.pipeline import Pipeline, Stage


class StageResult(FrozenModel):
    """One stage, or one source of the ingest stage.

    Attributes:
        name: the source, empty for other stages.
        changed: whether it did anything; False when all of it was there already.
        detail: the stage's own summary; empty for an optional source whose file is not there.
    """

    stage: Stage
    name: str = ""
    changed: bool
    detail: dict[str, Any]
    seconds: float


class _Run:
    def __init__(
        self,
        store: GraphStore,
        pipeline: Pipeline,
        home: Path,
        progress: Progress,
        on_source: Callable[[PreparedSource], None],
        on_result: Callable[[StageResult], None],
    ) -> None:
        self.store = store
        self.pipeline = pipeline
        self.home = home
        self.progress = progress
        self.on_source = on_source
        self.on_result = on_result
        self.results: list[StageResult] = []
        self.model_id: str | None = None

    def ingest(self) -> None:
        """Check every source before the first is loaded, so that an invalid one stops the run."""
        prepared = []
        for source in self.pipeline.sources:
            if _is_left_out(source):
                self._note("ingest", False, {}, time.perf_counter(), name=source.title)
                continue
            one = prepare(source, self.pipeline.domain, cache=user_cache(), progress=self.progress)
            self.on_source(one)
            prepared.append(one)
        for one in prepared:
            begun = time.perf_counter()
            summary = ingest(self.store, one, home=self.home, progress=self.progress)
            detail = summary.model_dump(mode="json")
            self._note("ingest", summary.changed, detail, begun, name=summary.source)

    def extract(self) -> None:
        from kgrec.stages.extract import ExtractConfig, extract

        begun = time.perf_counter()
        config = parse_config(ExtractConfig, dict(self.pipeline.extract), origin="[extract]")
        domain = load_schema().domain(self.pipeline.domain)
        summary = extract(self.store, domain, config, home=self.home, progress=self.progress)
        self._note("extract", bool(summary.texts), summary.model_dump(mode="json"), begun)

    def train(self) -> None:
        from kgrec.stages.train import train

        begun = time.perf_counter()
        summary = train(
            self.store,
            self.pipeline.domain,
            self.pipeline.train,
            home=self.home,
            progress=self.progress,
        )
        self.model_id = summary.model_id
        self._note("train", summary.trained, summary.model_dump(mode="json"), begun)

    def publish(self) -> None:
        from kgrec.model.storage import load_team
        from kgrec.stages.models import choose_model
        from kgrec.stages.publish import publish

        begun = time.perf_counter()
        models = self.home / "models"
        model_id = choose_model(models, self.model_id, domain=self.pipeline.domain)
        options: Mapping[str, Any] = self.pipeline.publish.model_dump(exclude_none=True)
        team = load_team(models / model_id)
        done = publish(self.store, team, model_id, progress=self.progress, **options)
        self._note("publish", done.changed, done.model_dump(mode="json"), begun)

    def _note(
        self, stage: Stage, changed: bool, detail: dict[str, Any], begun: float, name: str = ""
    ) -> None:
        seconds = round(time.perf_counter() - begun, 2)
        result = StageResult(
            stage=stage, name=name, changed=changed, detail=detail, seconds=seconds
        )
        self.results.append(result)
        self.on_result(result)


def run_pipeline(
    store: GraphStore,
    pipeline: Pipeline,
    stages: Sequence[Stage],
    *,
    home: Path,
    progress: Progress = SILENT,
    on_source: Callable[[PreparedSource], None] = lambda _: None,
    on_result: Callable[[StageResult], None] = lambda _: None,
) -> list[StageResult]:
    """Run stages of a pipeline in order.

    Args:
        home: models, vectors and rejected rows are kept below it; public data in the user's cache.
        on_source: called with each source and how its columns were read, before anything is loaded.
        on_result: called with the result of each stage when it ends.

    Raises:
        KGRecError: whatever the first stage that fails raises; what was done before stays.
    """
    run = _Run(store, pipeline, home, progress, on_source, on_result)
    steps: dict[Stage, Callable[[], None]] = {
        "ingest": run.ingest,
        "extract": run.extract,
        "train": run.train,
        "publish": run.publish,
    }
    check_extract(pipeline, stages)
    for stage in stages:
        steps[stage]()
    return run.results


def dry_run_sources(
    pipeline: Pipeline,
    *,
    progress: Progress = SILENT,
    on_source: Callable[[PreparedSource], None] = lambda _: None,
    on_result: Callable[[DryRun], None] = lambda _: None,
) -> list[DryRun]:
    """Read the rows of all sources of a pipeline; no graph is needed, and nothing is written.

    Optional sources whose file is not there are left out.

    Args:
        on_source: as of `run_pipeline`.
        on_result: called with what a source holds, when it was read.

    Raises:
        KGRecError: a source cannot be read, or names what there is not.
    """
    found = []
    for source in pipeline.sources:
        if _is_left_out(source):
            continue
        one = prepare(source, pipeline.domain, cache=user_cache(), progress=progress)
        on_source(one)
        found.append(dry_run(one, progress=progress))
        on_result(found[-1])
    return found


def check_extract(pipeline: Pipeline, stages: Sequence[Stage]) -> None:
    """Check the settings of a stage whose module is too heavy to check them when they are read.

    Raises:
        ConfigError: a key or value of `[extract]` is invalid.
    """
    if "extract" in stages and pipeline.extract:
        from kgrec.stages.extract import ExtractConfig

        parse_config(ExtractConfig, dict(pipeline.extract), origin="[extract]")


def _is_left_out(source: Source) -> bool:
    if not source.optional or source.query is not None:
        return False
    if source.address is not None:
        return not is_there(source.address)
    return source.path is not None and not source.path.exists()
