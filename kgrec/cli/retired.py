"""`kgrec graph retired|restore|sweep`: what complete sources no longer held."""

from __future__ import annotations

from typing import Annotated

import typer

from kgrec.cli.console import out, print_json
from kgrec.config import load_settings
from kgrec.graph import open_graph

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def retired(as_json: AsJson = False) -> None:
    """List what loads of complete sources retired and can be brought back.

    Example: kgrec graph retired
    """
    from kgrec.stages.retiring.restore import list_retired

    with open_graph(load_settings()) as store:
        found = list_retired(store)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        line = f"{one.at:%Y-%m-%d %H:%M}  {one.run_id}  {one.described}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if not found:
        out.print("Nothing is retired.")


def restore(
    run: Annotated[
        str | None, typer.Argument(help="A run of `kgrec graph retired`; the last without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what a load retired; what the graph holds by now stays as it is.

    The next load of the same source retires it again while its table does not hold it.

    Example: kgrec graph restore
    """
    from kgrec.stages.retiring.restore import restore as bring_back

    with open_graph(load_settings()) as store:
        done = bring_back(store, run)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    out.print(f"Brought back of {done.source}: {done.described}.", markup=False)


def sweep(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be forgotten.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forget what is retired for good, and remove entities that nothing leads to.

    Example: kgrec graph sweep --dry-run
    """
    from kgrec.stages.retiring.restore import count_orphans, list_retired
    from kgrec.stages.retiring.restore import sweep as forget

    with open_graph(load_settings()) as store:
        if dry_run:
            known = list_retired(store)
            kept = sum(one.total for one in known)
            counts = {"retired": kept, "orphans": count_orphans(store)}
        else:
            counts = forget(store).model_dump(mode="json")
    if as_json:
        print_json({**counts, "dry_run": dry_run})
        return
    verb = "Would forget" if dry_run else "Forgot"
    out.print(
        f"{verb} {counts['retired']:,} retired nodes, facts, links and interactions, and "
        f"{'would remove' if dry_run else 'removed'} {counts['orphans']:,} entities that nothing "
        "leads to.",
        soft_wrap=True,
        highlight=False,
    )
