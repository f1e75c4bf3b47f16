"""Turn a catalogue of films with ratings into atomic files for `kgrec evaluate --protocol …`.

    python examples/benchmarks/movies_split.py SOURCE TARGET [--extracted] [--without-text] …

SOURCE holds `ratings.csv` (user_id, movie_id, rating, timestamp), `catalog.csv` (movie_id, title,
description, language, and lists separated by |) and, if it is there, `people.csv` (movie_id,
director, actors). Ratings of 3 or more are interactions; films without one are left out. Columns
that the domain knows as relations become facts; `--extracted` adds what kgrec reads out of the
descriptions, with its confidence. TARGET gets all interactions in one file, `movies.inter`, which
a protocol splits: `kgrec evaluate TARGET --protocol temporal`.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from kgrec.data.records import FactRecord, display_title, entity_id, tidy
from kgrec.errors import KGRecError
from kgrec.schema import Domain, load_schema

MIN_RATING = 3.0
Row = dict[str, str]


def rows_of(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise SystemExit(f"movies_split: {path}: {error.strerror}") from None


def table_facts(rows: Iterable[Row], domain: Domain) -> Iterator[FactRecord]:
    """Yield the facts of the columns that the domain knows as relations, and of the language."""
    for row in rows:
        for column, value in row.items():
            relation = domain.relation_of_column(column)
            if relation is not None:
                kind = domain.relations[relation].tail
            elif column == "language":
                relation, kind = column, "Language"
            else:
                continue
            # "(no genres listed)" and the like are no names.
            for name in filter(None, map(tidy, value.split("|"))):
                if name.startswith("("):
                    continue
                yield FactRecord(row["movie_id"], relation, kind, name)


def text_facts(
    catalog: Iterable[Row], domain: Domain, known: Iterable[FactRecord]
) -> Iterator[FactRecord]:
    """Yield the facts that the descriptions state; names of tables help to recognise them."""
    from kgrec.text.pipeline import Extractor, ItemText

    names: dict[str, set[str]] = defaultdict(set)
    for fact in known:
        if fact.entity_type in domain.entity_types:
            names[fact.entity_type].add(fact.name)
    rows = [row for row in catalog if row["description"].strip()]
    works = domain.reading.ner.get("WORK_OF_ART")
    if works is not None:
        titles = {display_title(row["title"]) for row in rows}
        names[works] |= {title for title in titles if " " in title}
    extractor = Extractor(domain, names=names)
    texts = (
        ItemText(row["movie_id"], display_title(row["title"]), tidy(row["description"]))
        for row in rows
    )
    for item, facts in extractor.read(texts):
        for fact in facts:
            if fact.head_type or not fact.entity_type:  # a link, for which the file has no place
                continue
            yield FactRecord(
                item.item_id, fact.relation, fact.entity_type, fact.entity_name, fact.confidence
            )


def write_table(path: Path, header: str, rows: Iterable[Iterable[object]]) -> int:
    lines = [header, *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines) - 1


def write_facts(target: Path, facts: Iterable[FactRecord], items: Iterable[str]) -> int:
    """Write triples, links and names; of one fact from two sources the surer is kept."""
    sure: dict[tuple[str, str, str], float] = {}
    names: dict[str, str] = {}
    for fact in facts:
        key = fact.item_id, fact.relation, fact.entity_id
        sure[key] = max(fact.confidence, sure.get(key, 0.0))
        names.setdefault(fact.entity_id, fact.name)
    triples = ((item_entity(i), r, e, f"{c:g}") for (i, r, e), c in sure.items())
    header = "head_id:token\trelation_id:token\ttail_id:token\tconfidence:float"
    links = ((item, item_entity(item)) for item in items)
    write_table(target / "movies.link", "item_id:token\tentity_id:token", links)
    write_table(target / "movies.entity", "entity_id:token\tname:token_seq", names.items())
    return write_table(target / "movies.kg", header, triples)


def item_entity(item: str) -> str:
    return entity_id("Item", item)


def convert(source: Path, target: Path, options: argparse.Namespace) -> Mapping[str, int]:
    """Write the atomic files; return how many rows each kind has."""
    domain = load_schema().domain("movies")
    ratings = [r for r in rows_of(source / "ratings.csv") if float(r["rating"]) >= MIN_RATING]
    rated = {row["movie_id"] for row in ratings}
    catalog = [row for row in rows_of(source / "catalog.csv") if row["movie_id"] in rated]
    people_file = source / "people.csv"
    people: list[Row] = []
    if people_file.is_file() and not options.without_people:
        people = [row for row in rows_of(people_file) if row["movie_id"] in rated]
    target.mkdir(parents=True, exist_ok=True)
    for name in ("kg", "link", "entity"):
        (target / f"movies.{name}").unlink(missing_ok=True)
    counts = {
        "interactions": write_table(
            target / "movies.inter",
            "user_id:token\titem_id:token\trating:float\ttimestamp:float",
            ([r["user_id"], r["movie_id"], r["rating"], r["timestamp"]] for r in ratings),
        ),
        "items": write_items(target, catalog, without_text=options.without_text),
    }
    facts = [] if options.without_knowledge else list(table_facts([*catalog, *people], domain))
    if options.extracted:
        found = list(text_facts(catalog, domain, facts))
        facts += found
        counts["facts of texts"] = len(found)
    if facts:
        counts["facts"] = write_facts(target, facts, [row["movie_id"] for row in catalog])
    return counts


def write_items(target: Path, catalog: Iterable[Row], *, without_text: bool) -> int:
    path = target / "movies.item"
    if without_text:
        rows = ([row["movie_id"], row["year"]] for row in catalog)
        return write_table(path, "item_id:token\tyear:token", rows)
    return write_table(
        path,
        "item_id:token\tyear:token\ttitle:token_seq\tdescription:token_seq",
        (
            [row["movie_id"], row["year"], display_title(row["title"]), tidy(row["description"])]
            for row in catalog
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder with ratings.csv and catalog.csv")
    parser.add_argument("target", type=Path, help="folder to write to")
    parser.add_argument("--without-text", action="store_true", help="no titles, no descriptions")
    parser.add_argument("--without-knowledge", action="store_true", help="no facts of tables")
    parser.add_argument("--without-people", action="store_true", help="leave people.csv unread")
    parser.add_argument("--extracted", action="store_true", help="add facts read out of the texts")
    options = parser.parse_args()
    try:
        counts = convert(options.source, options.target, options)
    except KGRecError as error:
        sys.exit(f"movies_split: {error}")
    print(", ".join(f"{count:,} {name}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
