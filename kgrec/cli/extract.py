"""`kgrec extract`: facts of texts into the graph, or on the terminal; trained extractors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from kgrec.cli import labelled
from kgrec.cli.console import err, out, print_json, progress
from kgrec.cli.engines import EngineOption, Processes, RayAddress, ReadingEngine, check_address
from kgrec.config import load_settings, parse_config
from kgrec.errors import ConfigError
from kgrec.schema import Domain, load_schema

if TYPE_CHECKING:
    from kgrec.stages.extract import ExtractConfig, ExtractSummary
    from kgrec.text.pipeline import TextFact
    from kgrec.text.sources.prompted import LanguageModelUse

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
    language: Annotated[
        str | None, typer.Option(help="Language of the texts, such as de; English when absent.")
    ] = None,
    trained: Annotated[
        Path | None, typer.Option(help="Folder of kgrec extract train, used beside the rules.")
    ] = None,
    components: Annotated[
        str | None, typer.Option(help="Which components read, such as names,ner,rules.")
    ] = None,
    engine: EngineOption = ReadingEngine.local,
    ray_address: RayAddress = None,
    processes: Processes = None,
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
    check_address(engine, ray_address)
    from kgrec.graph import open_graph
    from kgrec.stages.extract import ExtractConfig
    from kgrec.stages.extract import extract as run

    listed = components.split(",") if components is not None else None
    given = {
        "model": model,
        "language": language,
        "trained": trained,
        "components": listed,
        "engine": engine.value,
        "processes": processes,
    }
    config = parse_config(
        ExtractConfig, {k: v for k, v in given.items() if v is not None}, origin="the options"
    )
    if text is not None:
        _show_facts(known, text, title, config, names=names, as_json=as_json)
        return
    settings = load_settings()
    with open_graph(settings) as store, progress(quiet=as_json) as bars:
        done = run(store, known, config, home=settings.home, ray_address=ray_address, progress=bars)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    for line in described(done):
        out.print(line, markup=False, highlight=False)


def described(done: ExtractSummary) -> list[str]:
    """Return what an extraction did, in words."""
    found = (*done.facts.items(), *done.values.items())
    counted = ", ".join(f"{count:,} {name}" for name, count in found)
    lines = [
        f"{done.texts:,} texts read, {done.unchanged:,} unchanged: {counted or 'no facts'}; "
        f"{done.withdrawn:,} withdrawn. {done.seconds:.1f} s."
    ]
    if done.of_others:
        lines.append(f"{done.of_others:,} facts are stated of other works, and left out.")
    if done.disagreements:
        kinds = ", ".join(f"{count:,} in {kind}" for kind, count in done.disagreements.items())
        lines.append(f"Components disagree {kinds}; --json lists the first of them.")
    if done.language_model is not None:
        lines.append(_used(done.language_model))
    lines += [f"Note: {note}." for note in done.notes]
    if done.incomplete:
        lines.append(f"{done.incomplete:,} texts are incomplete and are read again the next time.")
    return lines


def _used(use: LanguageModelUse) -> str:
    cost = "" if use.cost is None else f", cost {use.cost:.4f}"
    dropped = ", ".join(f"{count:,} {reason}" for reason, count in use.dropped.items())
    failed = ", ".join(f"{count:,} {reason}" for reason, count in use.failed.items())
    parts = [
        f"{use.model}: {use.requests:,} answers and {use.cached:,} from the cache, "
        f"{use.input_tokens:,} + {use.output_tokens:,} tokens{cost}; {use.kept:,} facts kept",
        f"dropped: {dropped}" if dropped else "",
        f"without an answer: {failed}" if failed else "",
        f"{use.unread:,} texts not sent, {use.limit} is reached" if use.unread else "",
    ]
    return "; ".join(part for part in parts if part) + "."


labelled.add_to(app)


def _show_facts(
    domain: Domain,
    text: str,
    title: str,
    config: ExtractConfig,
    *,
    names: bool,
    as_json: bool,
) -> None:
    from kgrec.data.cells.markup import plain_text
    from kgrec.text.pipeline import ItemText
    from kgrec.text.sources.chosen import open_components, without_facts
    from kgrec.text.sources.fusion import FusionCounts, read_beside

    used = config.model
    parts = open_components(domain, config)
    extractor = parts.extractor(
        lambda: _names_of_graph(domain) if names else {},
        lambda: _spellings_of_graph(domain) if names else {},
    )
    text = plain_text(text).strip()  # as it would be kept of a catalogue
    texts = [ItemText("", title, text)]
    reading = without_facts(texts) if extractor is None else extractor.read(texts)
    counts = FusionCounts()
    read = read_beside(reading, parts.sources, domain, counts, mentions=parts.mentions)
    [(_, facts, _, values)] = read
    if as_json:
        print_json(
            {
                "domain": domain.name,
                "text": text,
                "model": used,
                "notes": list(parts.notes),
                "facts": [_as_object(fact, domain) for fact in facts],
                "values": [asdict(value) for value in values],
                "of_others": counts.of_others,
                "disagreements": [one.model_dump(mode="json") for one in counts.samples],
            }
        )
        return
    for note in parts.notes:
        err.print(f"Note: {note}.", markup=False, highlight=False, soft_wrap=True)
    for value in values:
        line = f"{value.property} = {value.value}: {value.evidence}"
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if not facts:
        if not values:
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
    if not parts.notes:
        what = f"Names by {used}; rules by the domain {domain.name}."
        out.print(what, markup=False, highlight=False)


def _names_of_graph(domain: Domain) -> dict[str, list[str]]:
    from kgrec.graph import open_graph
    from kgrec.stages.known_names import known_names

    with open_graph(load_settings()) as store:
        return known_names(store, domain)


def _spellings_of_graph(domain: Domain) -> dict[str, dict[str, str]]:
    from kgrec.graph import open_graph
    from kgrec.stages.known_names import known_spellings

    with open_graph(load_settings()) as store:
        return known_spellings(store, domain)


def _sentence(fact: TextFact, domain: Domain, title: str) -> str:
    item = title or f"the {domain.item_word}"
    relation = domain.relations[fact.relation]
    return f"{fact.relation}: {relation.sentence(fact.head_name or item, fact.entity_name)}"


def _finder(fact: TextFact, domain: Domain) -> str:
    """Return what found a fact: a rule's number, role and words, a known name, or a network."""
    if fact.component == "names":
        return "a name that the catalogue knows"
    if fact.component == "trained":
        return "the trained extractor"
    if fact.component == "declared":
        return "the declarations"
    if fact.component == "language_model":
        return "the language model"
    if fact.rule is None:
        return fact.component
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
        "component": fact.component,
        "extractor": fact.extractor,
        "version": fact.version or None,
        "rule": rule,
        "evidence": fact.evidence,
        "start": fact.start,
        "end": fact.end,
    }
