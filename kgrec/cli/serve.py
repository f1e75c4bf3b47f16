"""`kgrec serve`: the HTTP API and the explorer page."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import webbrowser
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from kgrec.cli.console import out

if TYPE_CHECKING:
    from kgrec.config import Settings

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


_SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which workers count together."""


class LogFormat(StrEnum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond this machine with API keys only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 means a free one.")] = 8000,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that answer; about one a core.")
    ] = 1,
    fold: Annotated[
        bool,
        typer.Option(
            help="Fold new items into the live model by a process beside it; see kgrec fold."
        ),
    ] = True,
    ahead: Annotated[
        int,
        typer.Option(
            min=0,
            help="Users, of those who were active last, whose lists each process makes while no "
            "request is under way.",
        ),
    ] = 2_000,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    log_format: Annotated[
        LogFormat, typer.Option(help="text: warnings. json: a line for each request as well.")
    ] = LogFormat.TEXT,
) -> None:
    """Serve the HTTP API and the explorer page.

    `kgrec keys create` makes a key with a role; without any the server listens on this machine
    only. Plain keys in KGREC_API_KEYS, such as read:KEY1,write:KEY2,admin:KEY3, work as well.

    Example: kgrec serve --port 8000 --workers 2 --open
    """
    for name in _THREADS:  # requests are what runs side by side, not the parts of one of them
        os.environ.setdefault(name, "1")
    if workers > 1 and _SHARED not in os.environ:  # read when prometheus_client is imported
        folder = tempfile.mkdtemp(prefix="kgrec-metrics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[_SHARED] = folder
    from kgrec.config import load_settings

    settings = load_settings()
    if settings.graph_uri is None:
        _start_graph(settings)
    from kgrec.serving.config import ServingConfig
    from kgrec.serving.server import serve as run
    from kgrec.serving.telemetry import configure_logs

    def started(url: str) -> None:
        out.print(f"Explorer page    [bold]{escape(url)}/[/bold]", soft_wrap=True)
        out.print(f"API description  {escape(url)}/docs", soft_wrap=True)
        out.print("Ctrl+C ends it.")
        if open_page:
            threading.Timer(0.5, webbrowser.open, [f"{url}/"]).start()

    configure_logs(as_json=log_format is LogFormat.JSON)
    config = ServingConfig(ahead=ahead)
    run(settings, host, port, config=config, workers=workers, fold=fold, on_start=started)


def _start_graph(settings: Settings) -> None:
    """Have the embedded database start while the modules of the server are imported."""
    from kgrec.graph.embedded import start_ahead

    threading.Thread(target=start_ahead, args=[settings.home], daemon=True).start()
