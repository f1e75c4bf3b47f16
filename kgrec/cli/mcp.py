"""`kgrec mcp`: tools for language models over standard input and output."""

from __future__ import annotations

from typing import Annotated

import typer

from kgrec.errors import ConfigError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def mcp(
    seconds: Annotated[float, typer.Option(min=1, help="Most seconds that a tool takes.")] = 60.0,
) -> None:
    """Serve the tools recommend, explain, search and query by the Model Context Protocol.

    A client starts this command and talks with it over standard input and output. No tool writes.

    Example: kgrec mcp
    """
    from kgrec.config import load_settings
    from kgrec.serving.service import Service

    try:
        from kgrec.serving.model_context import create_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise ConfigError(
            "the SDK of the Model Context Protocol is not installed",
            remedy="Run `pip install 'kgrec[mcp]'`.",
        ) from error
    service = Service(load_settings(), seconds)
    try:
        create_server(service).run()
    finally:
        service.close()
