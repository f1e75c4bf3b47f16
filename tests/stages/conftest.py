"""Small tables to load, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_tables import Load

from kgrec.cli import main
from kgrec.data.sources import Source
from kgrec.graph.store import GraphStore
from kgrec.stages.ingest import IngestSummary, ingest, prepare


@pytest.fixture
def load(empty_store: GraphStore, home: Path, tmp_path: Path) -> Load:
    """Load a text as one file of a kind into the empty graph; options are those of a source."""

    def run(
        kind: str, content: str | bytes, name: str = "t.csv", **options: object
    ) -> IngestSummary:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        source = Source.model_validate({"kind": kind, "path": path, **options})
        return ingest(empty_store, prepare(source, "movies", cache=home / "cache"), home=home)

    return run


@pytest.fixture
def command(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run `kgrec` with arguments; returns exit code, standard output and standard error."""
    monkeypatch.setenv("KGREC_HOME", str(home))
    monkeypatch.delenv("KGREC_GRAPH_URI", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        code: object = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = leaving.code or 0
        said = capsys.readouterr()
        assert isinstance(code, int)
        return code, said.out, said.err

    return run
