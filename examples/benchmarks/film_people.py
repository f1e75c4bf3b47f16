"""Directors and actors read out of film descriptions, by rules and by extractors trained without
annotation, against the columns that have them.

    python examples/benchmarks/film_people.py ../shared/data/movies

The columns label the texts that name their people (`kgrec extract label`). Films are split in two
by their ids; each half is read by an extractor that was trained on the other. Scored are the texts
that name somebody of their columns, and 800 that name nobody. A column holds four actors, so that
a fifth one, named rightly, counts as wrong here: `--list` has all that count as wrong, to be read.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
import tomllib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgrec.learning.extraction.training import TrainingConfig, train_extractor
from kgrec.schema import Domain, load_schema
from kgrec.text.pipeline import Extractor, ItemText, TextFact
from kgrec.text.sources.chosen import ComponentSettings, open_components
from kgrec.text.sources.fusion import fused
from kgrec.text.sources.item_mentions import ItemMentions
from kgrec.text.trained.distant import LabelCounts, NamedText, distant_labels
from kgrec.text.trained.extractor import TrainedExtractor
from kgrec.text.trained.facts import TrainedFacts
from kgrec.text.trained.known import NameCounts

COLUMNS = {"DIRECTED_BY": "director", "STARS": "actors"}
SILENT = 800


def films_of(folder: Path) -> list[tuple[ItemText, NamedText]]:
    """Return the films with a description, and the people of their columns."""
    with (folder / "people.csv").open(encoding="utf-8") as file:
        people = {row["movie_id"]: row for row in csv.DictReader(file)}
    films = []
    with (folder / "catalog.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["description"]:
                known = people.get(row["movie_id"], {})
                names = {
                    relation: [name for name in known.get(column, "").split("|") if name]
                    for relation, column in COLUMNS.items()
                }
                item = ItemText(row["movie_id"], row["title"], row["description"])
                films.append((item, NamedText(item.item_id, item.text, names)))
    return films


def half_of(item_id: str) -> int:
    """Return which half of the films one is in."""
    return zlib.crc32(f"half {item_id}".encode()) % 2


def named(film: NamedText) -> set[tuple[str, str]]:
    """Return the people of the columns that the text names, with their relations."""
    return {
        (relation, name)
        for relation, names in film.names.items()
        for name in names
        if name in film.text
    }


def is_right(fact: TextFact, film: NamedText) -> bool:
    """Whether the columns have the fact, by the whole name or the last word of it."""
    found = fact.entity_name.removesuffix("'s").removesuffix("’s").casefold().strip()
    return any(
        found == name.casefold() or found == name.casefold().split()[-1]
        for name in film.names.get(fact.relation, ())
    )


def scored(
    facts: Mapping[str, Sequence[TextFact]], films: Iterable[NamedText]
) -> dict[str, float | int]:
    """Return precision of the facts, and recall of the people that the texts name."""
    right = wrong = wanted = reached = 0
    for film in films:
        held = [fact for fact in facts.get(film.id, ()) if fact.relation in COLUMNS]
        hits = [fact for fact in held if is_right(fact, film)]
        right, wrong = right + len(hits), wrong + len(held) - len(hits)
        names = named(film)
        wanted += len(names)
        stated = {(f.relation, f.entity_name.casefold()) for f in hits}
        reached += sum(
            any(
                r == relation and n in (name.casefold(), name.casefold().split()[-1])
                for r, n in stated
            )
            for relation, name in names
        )
    return {
        "facts": right + wrong,
        "wrong": wrong,
        "precision": round(right / max(right + wrong, 1), 3),
        "recall": round(reached / max(wanted, 1), 3),
    }


def trained_facts(
    films: Sequence[tuple[ItemText, NamedText]],
    read: Sequence[ItemText],
    domain: Domain,
    given: dict[str, Any],
    silent: float,
    names: bool,
) -> dict[str, list[TextFact]]:
    """Return what extractors state that were trained on the half that a film is not in."""
    facts: dict[str, list[TextFact]] = {}
    with tempfile.TemporaryDirectory() as kept:
        for half in (0, 1):
            counts = LabelCounts()
            others = (film for item, film in films if half_of(item.item_id) != half)
            texts = list(distant_labels(others, counts, silent=silent))
            known = NameCounts()
            for item, film in films:
                if half_of(item.item_id) != half:
                    known.add(film.names)
            place = Path(kept) / str(half)
            config = TrainingConfig.model_validate(given)
            train_extractor(texts, None, place, config, names=known.known() if names else None)
            source = TrainedFacts(TrainedExtractor(place), domain)
            own = [item for item in read if half_of(item.item_id) == half]
            for item, finding in zip(own, source.find(own), strict=True):
                facts[item.item_id] = finding.facts
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--silent", type=float, default=1.0, help="texts without a name, for each")
    parser.add_argument("--no-names", action="store_true", help="names of other films not marked")
    parser.add_argument("--rules-only", action="store_true", help="no extractor is trained")
    parser.add_argument("--local", help="folder of a language model that reads the texts too")
    parser.add_argument("--every", type=int, default=1, help="read every Nth text alone")
    parser.add_argument("--list", type=Path, help="where the facts that count as wrong are listed")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    domain = load_schema().domain("movies")
    films = films_of(options.folder)
    naming = [film for _, film in films if named(film)]
    rest = sorted(
        (film for _, film in films if not named(film)),
        key=lambda film: zlib.crc32(film.id.encode()),
    )
    naming, rest = naming[:: options.every], rest[: SILENT : options.every]
    parts = {"naming": naming, "silent": rest, "both": naming + rest}
    wanted = {film.id for film in parts["both"]}
    read = [item for item, _ in films if item.item_id in wanted]
    begun = time.process_time()
    ways: dict[str, Mapping[str, list[TextFact]]] = {}
    ways["rules"] = {item.item_id: facts for item, facts in Extractor(domain).read(read)}
    print(json.dumps({"rules_s": round(time.process_time() - begun)}), flush=True)
    mentions = ItemMentions(domain)
    begun = time.process_time()
    ways["rules, item_mentions"] = {
        item.item_id: mentions.about_item(item, ways["rules"][item.item_id]) for item in read
    }
    print(json.dumps({"mentions_s": round(time.process_time() - begun, 1)}), flush=True)
    if not options.rules_only:
        begun = time.process_time()
        given = tomllib.loads("\n".join(options.set))
        ways["trained"] = trained_facts(
            films, read, domain, given, options.silent, not options.no_names
        )
        ways["joined"] = {
            one.item_id: fused([ways["rules"][one.item_id], ways["trained"][one.item_id]], domain)[
                0
            ]
            for one in read
        }
        print(json.dumps({"trained_s": round(time.process_time() - begun)}), flush=True)
    if options.local:
        begun = time.process_time()
        settings = {"components": ["language_model"], "language_model": {"local": options.local}}
        [source] = open_components(domain, ComponentSettings.model_validate(settings)).sources
        found = zip(read, source.find(read), strict=True)
        ways["language model"] = {item.item_id: finding.facts for item, finding in found}
        print(json.dumps({"language_model_s": round(time.process_time() - begun)}), flush=True)
    for way, facts in ways.items():
        for least in (0.0, 0.5, 0.7, 0.8, 0.9, 0.95):
            kept = {key: [f for f in some if f.confidence >= least] for key, some in facts.items()}
            for part, group in parts.items():
                row = {"way": way, "least": least, "part": part, "texts": len(group)}
                print(json.dumps({**row, **scored(kept, group)}), flush=True)
    if options.list:
        with options.list.open("w", encoding="utf-8") as file:
            for film in parts["both"]:
                for way, facts in ways.items():
                    for fact in facts[film.id]:
                        if fact.relation in COLUMNS and not is_right(fact, film):
                            shown = [way, film.id, fact.relation, fact.entity_name]
                            where = film.text[max(0, fact.start - 60) : fact.end + 40]
                            file.write(
                                json.dumps([*shown, round(fact.confidence, 2), where]) + "\n"
                            )


if __name__ == "__main__":
    main()
