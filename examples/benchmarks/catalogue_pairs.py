"""Generated pairs of catalogues with their true matches: what the constants of resolution are
chosen on. Five kinds of things, siblings that differ in one word or sign, any overlap, two levels
of damage, and doubles within a source or none.
"""

from __future__ import annotations

import csv
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kgrec.resolution.reading import RecordTable

Record = dict[str, str]
_BRANDS = "Arvo Belden Corvia Dastro Elmont Fenwick Garda Hollin Ivero Jantra Kestrel Lumo Mirado"
_KINDS = "speaker|lamp|camera|printer|router|monitor|kettle|headphones|drill|keyboard|mixer|scale"
_TRAITS = "wireless|compact|portable|digital|professional|stainless|dual band|high speed|slim"
_COLOURS = "black|white|silver|red|blue|graphite"
_PLACES = "oak|main|river|church|station|market|hill|garden|mill|north|lake|bridge|park|queen"
_SIGHTS = "golden|blue|little|royal|old|new|grand|lucky|silver|green|happy|red|sunny|crystal"
_FOODS = "dragon|garden|kitchen|bistro|house|grill|corner|table|palace|cafe|tavern|oven|lantern"
_SHORT = {"street": "st", "avenue": "ave", "north": "n", "professional": "pro", "wireless": "wl",
          "proceedings": "proc", "international": "intl", "conference": "conf", "journal": "j",
          "and": "&", "black": "blk", "white": "wht", "company": "co", "portable": "port"}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two sources and their true matches by row."""

    name: str
    left: RecordTable
    right: RecordTable
    truth: frozenset[tuple[int, int]]


def films(rng: random.Random, count: int, folder: Path) -> list[Record]:
    with (folder / "movies" / "people.csv").open(encoding="utf-8") as file:
        people = {row["movie_id"]: row for row in csv.DictReader(file)}
    with (folder / "movies" / "catalog.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["description"]]
    found = []
    for row in rng.sample(rows, min(count, len(rows))):
        own = people.get(row["movie_id"], {})
        found.append({"title": row["title"], "year": row["year"], "director": own.get("director", ""),
                      "cast": own.get("actors", "").replace("|", ", "), "genres": row["genres"],
                      "plot": row["description"][: rng.choice([80, 200, 400])]})  # fmt: skip
    return found


def products(rng: random.Random, count: int, folder: Path) -> list[Record]:
    brands = _BRANDS.split()
    kinds, traits, colours = _KINDS.split("|"), _TRAITS.split("|"), _COLOURS.split("|")
    found: list[Record] = []
    while len(found) < count:
        brand, kind = rng.choice(brands), rng.choice(kinds)
        letters = "".join(rng.choices(string.ascii_uppercase, k=rng.choice([1, 2, 3])))
        number, features = rng.randrange(10, 9999), rng.sample(traits, 2)
        price = rng.uniform(15, 900)
        for _ in range(rng.choice([1, 1, 2, 3, 4])):  # siblings of one line
            colour, size = (
                rng.choice(colours),
                rng.choice(["", "8 GB", "16 GB", "32 inch", "2-pack"]),
            )
            number += rng.choice([1, 5, 10, 100])
            code = f"{letters}-{number}{rng.choice(['', 'B', 'W', 'S'])}"
            found.append({"name": f"{brand} {' '.join(features)} {kind} {code} {colour} {size}".strip(),
                          "maker": brand, "price": f"{price * rng.uniform(0.9, 1.2):.2f}",
                          "text": f"{kind} {code} {' '.join(rng.sample(traits, 4))} with {rng.randrange(1, 9)}"
                                  f" year warranty, {colour}"})  # fmt: skip
    return found[:count]


def papers(rng: random.Random, count: int, folder: Path) -> list[Record]:
    source = films(rng, 10_000, folder)
    words = [w for row in source[:1500] for w in row["plot"].split() if w.isalpha() and len(w) > 3]
    names = [n for row in source for n in row["cast"].split(", ") if n]
    heads = [
        "learning",
        "query processing",
        "a survey of",
        "efficient",
        "towards",
        "on the",
        "scalable",
    ]
    venues = ["international conference on data engineering", "journal of data systems",
              "proceedings of the symposium on management of data", "transactions on databases"]  # fmt: skip
    found: list[Record] = []
    while len(found) < count:
        title = f"{rng.choice(heads)} {' '.join(rng.sample(words, rng.randrange(2, 7)))}".lower()
        authors = rng.sample(names, rng.randrange(1, 5))
        for part in range(
            rng.choice([1, 1, 1, 2])
        ):  # a conference paper and its longer journal version
            found.append({"title": title + (", revisited" if part else ""), "authors": ", ".join(authors),
                          "venue": rng.choice(venues), "year": str(rng.randrange(1990, 2006) + part)})  # fmt: skip
    return found[:count]


def people(rng: random.Random, count: int, folder: Path) -> list[Record]:
    names = sorted({n for row in films(rng, 10_000, folder) for n in row["cast"].split(", ") if n})
    first, last = ([n.split()[at] for n in names if " " in n] for at in (0, -1))
    trades = ["actor", "director", "writer", "producer", "composer", "editor"]
    found = []
    for _ in range(count):
        born = rng.randrange(1890, 1995)
        name = (
            rng.choice(names) if rng.random() < 0.5 else f"{rng.choice(first)} {rng.choice(last)}"
        )
        found.append({"name": name, "born": str(born), "trade": rng.choice(trades),
                      "died": str(born + rng.randrange(40, 95)) if rng.random() < 0.5 else ""})  # fmt: skip
    return found


def shops(rng: random.Random, count: int, folder: Path) -> list[Record]:
    sights, foods, places = _SIGHTS.split("|"), _FOODS.split("|"), _PLACES.split("|")
    cities = ["Springfield", "Riverton", "Lakewood", "Fairview", "Georgetown"]
    found = []
    for _ in range(count):
        kind = rng.choice(["street", "avenue", "road"])
        found.append({"name": f"{rng.choice(sights)} {rng.choice(foods)} {rng.choice(['', 'company', rng.choice(foods)])}".strip(),
                      "address": f"{rng.randrange(1, 400)} {rng.choice(places)} {kind}", "city": rng.choice(cities),
                      "phone": f"{rng.randrange(200, 999)}-{rng.randrange(200, 999)}-{rng.randrange(1000, 9999)}"})  # fmt: skip
    return found


KINDS: dict[str, Callable[[random.Random, int, Path], list[Record]]] = {
    "films": films, "products": products, "papers": papers, "people": people, "shops": shops,
}  # fmt: skip


def generate(
    kind: str, seed: int, folder: Path, *, overlap: float, size: tuple[int, int], damage: float,
    doubles: float = 0.0,
) -> Pair:  # fmt: skip
    """Return a pair of catalogues.

    Args:
        overlap: share of the smaller source that has a partner.
        damage: how much of the second spelling is changed, from 0 to 1.
        doubles: share of the records of the right source that it holds twice.
    """
    rng = random.Random(f"{kind} {seed}")
    shared = round(overlap * min(size))
    things = KINDS[kind](rng, sum(size) - shared, folder)
    short = sum(size) - shared - len(things)
    size = (size[0] - short // 2, size[1] - (short - short // 2))
    rng.shuffle(things)
    style = rng.random
    lost = [c for c in things[0] if c not in ("name", "title") and style() < 0.35 * damage + 0.1]
    swapped, abbreviated, scale = style() < 0.4, style() < 0.5, rng.choice([1.0, 1.0, 0.92])
    merged = style() < 0.3
    left = [(n, _damaged(rng, things[n], damage / 4, False, False, 1.0)) for n in range(size[0])]
    right: list[tuple[int, Record]] = []
    for n in (*range(shared), *range(size[0], size[0] + size[1] - shared)):
        for _ in range(1 + (style() < doubles)):
            row = _damaged(rng, things[n], damage, swapped, abbreviated, scale)
            right.append((n, {c: cell for c, cell in row.items() if c not in lost}))
    if merged:
        right = [(n, _merged(row)) for n, row in right]
    rng.shuffle(left)
    rng.shuffle(right)
    sources = []
    for side in (left, right):
        columns = {f"{c}_{len(sources)}": [row.get(c, "") for _, row in side] for c in side[0][1]}
        sources.append(RecordTable(tuple(f"{at:05d}" for at in range(len(side))), columns, {}))
    places: dict[int, list[int]] = {}
    for at, (n, _) in enumerate(right):
        places.setdefault(n, []).append(at)
    truth = {(at, to) for at, (n, _) in enumerate(left) for to in places.get(n, ())}
    name = f"{kind} {seed} overlap {overlap} {size[0]}x{size[1]} damage {damage} doubles {doubles}"
    return Pair(name, sources[0], sources[1], frozenset(truth))


def _merged(row: Record) -> Record:
    head, *rest = row
    return {head: row[head], "details": " ".join(row[c] for c in rest)}


def _damaged(
    rng: random.Random, row: Record, damage: float, swapped: bool, abbreviated: bool, scale: float
) -> Record:
    found = {}
    for column, cell in row.items():
        if rng.random() < 0.25 * damage and column not in ("name", "title"):
            found[column] = ""
            continue
        if column == "price":
            cell = f"{float(cell) * scale * rng.uniform(1 - damage / 4, 1 + damage / 4):.2f}"
        elif column in ("year", "born", "died"):
            if cell and rng.random() < 0.2 * damage:
                cell = str(int(cell) + rng.choice([-1, 1]))
        else:
            cell = _words(rng, cell, damage, abbreviated)
        if swapped and column in ("name", "authors", "director") and cell.count(" ") == 1:
            cell = ", ".join(reversed(cell.split(" ")))
        found[column] = cell
    return found


def _words(rng: random.Random, cell: str, damage: float, abbreviated: bool) -> str:
    words = []
    for word in cell.split():
        chance = rng.random()
        if abbreviated and word.lower() in _SHORT and chance < 0.8:
            words.append(_SHORT[word.lower()])
        elif chance < 0.12 * damage and len(cell.split()) > 2:
            continue
        elif chance < 0.2 * damage and len(word) > 3:
            at = rng.randrange(len(word) - 1)
            words.append(
                word[:at]
                + rng.choice([word[at + 1] + word[at], word[at + 1], "e" + word[at]])
                + word[at + 2 :]
            )
        elif chance < 0.23 * damage and word.isalpha():
            words.append(word[0] + ".")
        elif "-" in word and chance < 0.4:
            words.append(word.replace("-", rng.choice(["", " "])))
        else:
            words.append(word)
    if len(words) > 3 and rng.random() < 0.3 * damage:
        at = rng.randrange(len(words) - 1)
        words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)
