"""`kgrec graph report`: what the graph holds, and what to do about what is wrong with it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings
from kgrec.errors import ConfigError
from kgrec.graph import open_graph


class FailOn(StrEnum):
    """What makes the command fail."""

    WARNING = "warning"
    NOTE = "note"


def report(
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page that needs nothing else.")
    ] = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="Leave with exit code 3 where there is such a finding."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Report on the data in the graph: counts, gaps, doubles, hubs, odd times; and what to do.

    Example: kgrec graph report --html report.html
    """
    from kgrec.stages.graph_report.making import make_report
    from kgrec.stages.graph_report.page import page

    with open_graph(load_settings()) as store, progress(quiet=as_json) as bars:
        found = make_report(store, bars)
    if html is not None:
        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"the file cannot be written ({error.strerror})", value=str(html)
            ) from None
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        for title, counts in (("nodes", found.nodes), ("relations", found.relations)):
            listed = ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
            out.print(f"{title:<10} {listed}", highlight=False, markup=False)
        table = Table(show_header=False, box=None, padding=(0, 1, 1, 0))
        for one in found.findings:
            lines = [one.what]
            if one.examples:
                lines.append("  " + ", ".join(one.examples))
            lines.append(f"  → {one.remedy}")
            table.add_row(Text(one.severity), Text("\n".join(lines), overflow="fold"))
        out.print(table)
        notes = len(found.findings) - found.warnings
        out.print(f"{found.warnings} warnings, {notes} notes.", highlight=False)
        if html is not None:
            out.print(f"The page is {html}.", markup=False, highlight=False, soft_wrap=True)
    failing = found.warnings if fail_on is FailOn.WARNING else len(found.findings)
    if fail_on is not None and failing:
        raise typer.Exit(3)
