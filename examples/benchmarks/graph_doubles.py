"""Measure which doubles `kgrec resolve graph` finds: people of a catalogue of films, some of whom
are written in another way in half of their films.

    python examples/benchmarks/graph_doubles.py ../shared/data/movies

Each line: how names were damaged, how many, and the shares that are merged and put to review. Then
the pairs that are merged and were not made: doubles that the catalogue has itself, or errors.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

from kgrec.config import Settings
from kgrec.data.records import entity_id
from kgrec.data.sources import Source
from kgrec.graph import open_graph
from kgrec.resolution.given_names import given_forms, same_given_name
from kgrec.resolution.words import plain
from kgrec.stages.ingest import ingest, prepare
from kgrec.stages.resolving.resolve import resolve_graph

LEAST_FILMS = 4
FORMS = sorted(given_forms())


def signs(name: str) -> str:
    return plain(name).title().replace("-", " ").replace(".", "")


def comma(name: str) -> str:
    first, _, last = name.rpartition(" ")
    return f"{last}, {first}"


def initial(name: str) -> str:
    first, _, rest = name.partition(" ")
    return f"{first[0]}. {rest}"


def middle(name: str) -> str:
    first, _, rest = name.partition(" ")
    return f"{first} {'ABCDEFGHJKLMNPRSTW'[len(name) % 18]}. {rest}"


def given(name: str) -> str:
    """Return the name with another form of its given name; as it is where there is none."""
    first, _, rest = name.partition(" ")
    forms = [form for form in FORMS if same_given_name(plain(first), form)]
    return f"{forms[0].title()} {rest}" if forms else name


def letter(name: str) -> str:
    at = len(name) // 2 if name[len(name) // 2].isalpha() else len(name) // 2 + 1
    return name[:at] + name[at + 1 :]


DAMAGES: dict[str, Callable[[str], str]] = {
    "signs": signs,
    "last, first": comma,
    "initial": initial,
    "middle initial": middle,
    "given name": given,
    "letter left out": letter,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, default=400, help="whose names are damaged")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kgrec-") as place:
        home = Path(place)
        made = damaged(options.folder, home / "people.csv", options.people, options.seed)
        with open_graph(Settings(home=home, graph_uri=None)) as store:
            sources = (
                (options.folder / "catalog.csv", {"HAS_GENRE": "genres:|"}),
                (home / "people.csv", {"DIRECTED_BY": "director:|", "STARS": "actors:|"}),
            )
            for path, relations in sources:
                source = Source(kind="catalog", path=path, relations=relations)
                ingest(store, prepare(source, "movies", cache=home), home=home)
            begun, used = time.perf_counter(), time.process_time()
            found = resolve_graph(store, types=["Person"], dry_run=True)
            seconds = time.perf_counter() - begun, time.process_time() - used
    merged = {frozenset((one.left, one.right)): one for one in found.merged}
    review = {frozenset((one.left, one.right)) for one in found.review}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for pair, how in made.items():
        where = "merged" if pair in merged else "review" if pair in review else "missed"
        counts[how][where] += 1
    for how, each in counts.items():
        total = sum(each.values())
        shares = (f"{name} {each[name] / total:.2f}" for name in ("merged", "review"))
        print(f"{how:<16} {total:>4}  {'  '.join(shares)}")
    others = [one for pair, one in merged.items() if pair not in made]
    right = len(merged) - len(others)
    print(f"{len(merged)} merged, {right} of them made; {len(review)} to review")
    print(f"{seconds[0]:.1f} s, {seconds[1]:.1f} s of processor time")
    for one in others:
        print(f"not made: {one.score:.3f} {one.names[0]} = {one.names[1]}")


def damaged(folder: Path, target: Path, count: int, seed: int) -> dict[frozenset[str], str]:
    """Write the people of films with damaged names; return the pairs of ids, with the damage."""
    random.seed(seed)
    with (folder / "people.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    films: Counter[str] = Counter()
    for row in rows:
        films.update(set(cells(row["director"]) + cells(row["actors"])))
    known = {entity_id("Person", name) for name in films}
    chosen = sorted(name for name, n in films.items() if n >= LEAST_FILMS and " " in name)
    others: dict[str, str] = {}
    made: dict[frozenset[str], str] = {}
    ways = list(DAMAGES)
    for name in random.sample(chosen, min(count, len(chosen))):
        how = ways[len(others) % len(ways)]
        other = DAMAGES[how](name)
        ids = [entity_id("Person", each) for each in (name, other)]
        if ids[1] not in known:
            others[name] = other
            made[frozenset(ids)] = how
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("movie_id", "director", "actors"))
        writer.writeheader()
        turn: Counter[str] = Counter()
        for row in rows:
            for name in {*cells(row["director"]), *cells(row["actors"])} & others.keys():
                turn[name] += 1
            changed = {
                part: "|".join(
                    others[name] if name in others and turn[name] % 2 else name
                    for name in cells(row[part])
                )
                for part in ("director", "actors")
            }
            writer.writerow({"movie_id": row["movie_id"], **changed})
    return made


def cells(text: str) -> list[str]:
    return [name.strip() for name in text.split("|") if name.strip()]


if __name__ == "__main__":
    main()
