"""`kgrec extract`: facts of texts into the graph, or on the terminal; trained extractors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kgrec.cli import labelled
from kgrec.cli.console import out, print_json, progress
from kgrec.config import load_settings
from kgrec.errors import ConfigError
from kgrec.schema import Domain, load_schema

if TYPE_CHECKING:
    from kgrec.text.pipeline import TextFact

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def extract(
    context: typer.Context,
    domain: Annotated[
        str | None, typer.Option(help="Name of a domain, or path of a domain file. [required]")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="A text to read, in place of those of the graph.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the item that the text is of.")] = "",
    names: Annotated[
        bool, typer.Option("--names", help="With --text: also find the names that the graph has.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the facts; --text is needed.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="A spaCy pipeline: package or folder.")] = None,
    trained: Annotated[
        Path | None, typer.Option(help="Folder of kgrec extract train, used beside the rules.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Read the texts of the graph's items for facts, or show which facts a text states.

    With --dry-run and --text nothing is written, and each fact is shown with the rule of the
    domain that found it, or as a known name, and with the words that state it.

    The commands below train an extractor on labelled texts, run it on files, and score it.

    Example: kgrec extract --domain books --dry-run --text "A novel by Clara Voss, set in Lisbon."
    """
    if context.invoked_subcommand is not None:
        return
    if domain is None:
        context.fail("Missing option '--domain'.")
    known = load_schema().domain(domain)
    if dry_run != (text is not None):
        raise ConfigError(
            "--dry-run and --text go together",
            value="--dry-run" if dry_run else "--text",
            remedy='Give both: --dry-run --text "..."; or neither, to read the texts of the graph.',
        )
    if text is not None:
        _show_facts(known, text, title, model, trained, names=names, as_json=as_json)
        return
    from kgrec.graph import open_graph
    from kgrec.stages.extract import ExtractConfig
    from kgrec.stages.extract import extract as run

    config = ExtractConfig(trained=trained)
    if model is not None:
        config = config.model_copy(update={"model": model})
    with open_graph(load_settings()) as store, progress(quiet=as_json) as bars:
        done = run(store, known, config, progress=bars)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    counted = ", ".join(f"{count:,} {name}" for name, count in done.facts.items())
    out.print(
        f"{done.texts:,} texts read, {done.unchanged:,} unchanged: {counted or 'no facts'}; "
        f"{done.withdrawn:,} withdrawn. {done.seconds:.1f} s.",
        markup=False,
        highlight=False,
    )


labelled.add_to(app)


def _show_facts(
    domain: Domain,
    text: str,
    title: str,
    model: str | None,
    trained: Path | None,
    *,
    names: bool,
    as_json: bool,
) -> None:
    from kgrec.text.models import SPACY_MODEL
    from kgrec.text.pipeline import Extractor, ItemText

    held = _names_of_graph(domain) if names else {}
    used = model or SPACY_MODEL
    extractor = Extractor(domain, names=held, model=used)
    reading = extractor.read([ItemText("", title, text)])
    if trained is not None:
        from kgrec.text.trained.extractor import TrainedExtractor
        from kgrec.text.trained.facts import with_trained

        reading = with_trained(reading, TrainedExtractor(trained), domain)
    [(_, facts)] = reading
    if as_json:
        print_json(
            {
                "domain": domain.name,
                "model": used,
                "facts": [_as_object(fact, domain) for fact in facts],
            }
        )
        return
    if not facts:
        out.print(f"No fact of the domain {domain.name} is stated here.", markup=False)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for column in ("fact", "sure", "found by", "evidence"):
        table.add_column(column, overflow="fold")
    for fact in facts:
        sure = f"{fact.confidence:.2f}"
        words = (_sentence(fact, domain, title), sure, _finder(fact, domain), fact.evidence)
        table.add_row(*map(Text, words))
    out.print(table)
    out.print(f"Names by {used}; rules by the domain {domain.name}.", markup=False, highlight=False)


def _names_of_graph(domain: Domain) -> dict[str, list[str]]:
    from kgrec.graph import open_graph
    from kgrec.stages.extract import known_names

    with open_graph(load_settings()) as store:
        return known_names(store, domain)


def _sentence(fact: TextFact, domain: Domain, title: str) -> str:
    item = title or f"the {domain.item_word}"
    relation = domain.relations[fact.relation]
    return f"{fact.relation}: {relation.sentence(fact.head_name or item, fact.entity_name)}"


def _finder(fact: TextFact, domain: Domain) -> str:
    """Return what found a fact: a rule's number, role and words, a known name, or a network."""
    if fact.extractor.startswith("trained/"):
        return "the trained extractor"
    if fact.rule is None:
        return "a name that the catalogue knows"
    rule = domain.rules[fact.rule]
    words = (*rule.verbs, *rule.nouns, *rule.prepositions)
    shown = ", ".join(words[:4]) + (", ..." if len(words) > 4 else "")
    return f"rule {fact.rule + 1} ({rule.role}: {shown})"


def _as_object(fact: TextFact, domain: Domain) -> dict[str, Any]:
    rule = None if fact.rule is None else domain.rules[fact.rule].model_dump(mode="json")
    return {
        "relation": fact.relation,
        "head_type": fact.head_type or None,
        "head": fact.head_name or None,
        "type": fact.entity_type or domain.item_label,
        "name": fact.entity_name,
        "confidence": fact.confidence,
        "extractor": fact.extractor,
        "rule": rule,
        "evidence": fact.evidence,
        "start": fact.start,
        "end": fact.end,
    }
