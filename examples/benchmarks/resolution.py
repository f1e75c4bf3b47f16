"""Measure resolution without labels and with 50 on pairs of catalogues whose matches are known.

    python examples/benchmarks/resolution.py ../shared/data/er
    python examples/benchmarks/resolution.py ../shared/data --generated

Each line: pair, labels, F1, precision, recall, matches, processor seconds. With --generated the
pairs are those of catalogue_pairs.py, with 0 to all records matched.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

from catalogue_pairs import KINDS, Pair, generate

from kgrec.resolution.matching import match
from kgrec.resolution.reading import read_source

PUBLIC = {
    "abt-buy": ("abt.csv", "buy.csv", "gt.csv"),
    "restaurants": ("rest1clean.csv", "rest2clean.csv", "gtclean.csv"),
    "imdb-tvdb": ("imdbclean.csv", "tvdbclean.csv", "gtclean.csv"),
}
OVERLAPS = (0.0, 0.05, 0.15, 0.4, 0.8, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--generated", action="store_true")
    parser.add_argument("--only", help="names that begin so")
    parser.add_argument("--labels", type=int, default=50)
    options = parser.parse_args()
    pairs = generated(options.folder) if options.generated else public(options.folder)
    for pair in pairs:
        if options.only and not pair.name.startswith(options.only):
            continue
        begun = time.process_time()
        found = match(pair.left, pair.right)
        report(pair, 0, set(map(tuple, found.matches.tolist())), set(), begun)
        if options.labels and pair.truth:
            # Labels of best candidates drawn by chance; they are left out of what is measured.
            drawn = random.Random(1).sample(found.pairs.tolist(), options.labels)
            known = {(i, j): (i, j) in pair.truth for i, j in drawn}
            begun = time.process_time()
            found = match(pair.left, pair.right, known)
            report(pair, len(known), set(map(tuple, found.matches.tolist())), set(known), begun)


def report(
    pair: Pair,
    labels: int,
    matches: set[tuple[int, ...]],
    known: set[tuple[int, int]],
    begun: float,
) -> None:
    matches, truth = matches - known, pair.truth - known
    hits = len(matches & truth)
    precision, recall = hits / max(1, len(matches)), hits / max(1, len(truth))
    f1 = 2 * hits / max(1, len(matches) + len(truth))
    spent = time.process_time() - begun
    figures = f"{f1:.3f} {precision:.3f} {recall:.3f} {len(matches):>5} {spent:.1f}"
    print(f"{pair.name:<60} {labels:>3} {figures}", flush=True)


def public(folder: Path) -> Iterator[Pair]:
    for name, (one, other, true) in PUBLIC.items():
        left, right = (read_source(folder / name / file, "id") for file in (one, other))
        lines = (folder / name / true).read_text("utf-8").splitlines()[1:]
        ids = [line.split("|") for line in lines]
        truth = frozenset((left.row_of[i], right.row_of[j]) for i, j in ids)
        yield Pair(name, left, right, truth)


def generated(folder: Path) -> Iterator[Pair]:
    rng = random.Random(5)
    sizes = [(600, 600), (400, 1500), (1500, 500), (1000, 1200)]
    for number, (kind, overlap) in enumerate((k, o) for k in KINDS for o in OVERLAPS):
        damage = rng.choice([0.4, 0.8, 1.2, 1.8])
        yield generate(kind, number, folder, overlap=overlap, size=rng.choice(sizes), damage=damage)


if __name__ == "__main__":
    main()
