"""Draw a catalogue of any size with planted tastes, for measuring time and memory.

    python examples/benchmarks/generated.py [--users 1000000 --items 200000 --interactions 20000000]
        [--out FOLDER]

Items stand in clusters. An item's popularity falls by a power law, the length of a history is
log-normal, and a user takes from a few clusters, the more the longer the history, and now and then
from anywhere. Genres, makers and tags go with the clusters, and some of them are noise. A user's
last interaction is the test part, the one before it the valid part. A share of the items is cold:
they occur in the test part alone. The same arguments give the same data. `--out` writes it as
atomic files, for `kgrec evaluate` and `run.py`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Dataset, Facts, Interactions
from kgrec.data.vocabulary import Vocabulary
from kgrec.evaluation.report import peak_memory

Ints = NDArray[np.int64]
GENRES = 40
CLUSTER = 200
ANYWHERE = 0.15
FIRST_DAY = 1_700_000_000_000
YEAR = 365 * 86_400_000


@dataclass(frozen=True)
class Shelf:
    """The items in the order of their clusters, to draw from by popularity.

    Attributes:
        item: rows, int64 [I], cluster by cluster.
        reach: cumulated popularity along `item`, float64 [I + 1].
        start: where each cluster begins in `item`, int64 [C + 1].
        cluster: of each item by row, int64 [I].
    """

    item: Ints
    reach: NDArray[np.float64]
    start: Ints
    cluster: Ints

    @classmethod
    def draw(cls, items: int, rng: np.random.Generator) -> Shelf:
        popularity = (10.0 + rng.permutation(items)) ** -0.8
        cluster = rng.integers(max(items // CLUSTER, 2), size=items)
        order = np.argsort(cluster, kind="stable")
        reach = np.concatenate([[0.0], np.cumsum(popularity[order])])
        start = np.searchsorted(cluster[order], np.arange(cluster.max() + 2))
        return cls(order, reach, start, cluster)

    def take(self, cluster: Ints, rng: np.random.Generator) -> Ints:
        """Draw an item of each cluster by popularity, int64 [N]; cluster -1 is anywhere."""
        low = np.where(cluster < 0, 0.0, self.reach[self.start[cluster]])
        high = np.where(cluster < 0, self.reach[-1], self.reach[self.start[cluster + 1]])
        at = np.searchsorted(self.reach, low + rng.random(len(cluster)) * (high - low), "right")
        return self.item[np.clip(at - 1, 0, len(self.item) - 1)]


@dataclass(frozen=True)
class Tastes:
    """What some users like, the better the earlier in their list.

    Attributes:
        first: where each user's clusters begin in `liked`, int64 [U + 1].
        liked: clusters, int64 [L].
    """

    first: Ints
    liked: Ints


def generate(
    users: int = 1_000_000,
    items: int = 200_000,
    interactions: int = 20_000_000,
    *,
    seed: int = 2024,
    cold: float = 0.01,
    drawn: list[Tastes] | None = None,
) -> SplitDataset:
    """Draw the data; a little fewer interactions than asked, since no user takes an item twice.

    Args:
        drawn: gets the tastes of every 100,000 users.
    """
    rng = np.random.default_rng(seed)
    shelf = Shelf.draw(items, rng)
    is_cold = rng.random(items) < cold
    wanted = rng.lognormal(sigma=0.9, size=users)
    length = np.maximum(3, np.round(wanted * (interactions / wanted.sum()))).astype(np.int64)
    parts: list[list[tuple[Ints, Ints, Ints]]] = [[], [], []]
    for first in range(0, users, 100_000):
        tastes, user, item = _take(shelf, length[first : first + 100_000], rng)
        if drawn is not None:
            drawn.append(tastes)
        at = _times(user, rng)
        left = _from_the_end(user)
        for place, last in enumerate((left > 1, left == 1, left == 0)):
            kept = last if place == 2 else last & ~is_cold[item]
            parts[place].append((user[kept] + first, item[kept], at[kept]))
    train, valid, test = (_interactions(part) for part in parts)
    facts, entities = _facts(shelf, rng)
    dataset = Dataset(
        Vocabulary(f"u{row}" for row in range(users)),
        Vocabulary(f"i{row}" for row in range(items)),
        train,
        entities,
        facts,
        entity_names=entities.ids,
    )
    return SplitDataset("generated", dataset, valid, test)


def _take(shelf: Shelf, length: Ints, rng: np.random.Generator) -> tuple[Tastes, Ints, Ints]:
    """Draw the tastes and distinct items of some users: rows of both, in order of time."""
    tastes = 2 + length // 15
    first = np.concatenate([[0], np.cumsum(tastes)])
    liked = shelf.cluster[shelf.take(np.full(first[-1], -1), rng)]
    user = np.repeat(np.arange(len(length)), length + length // 2 + 2)  # some fall on one item
    which = first[user] + (tastes[user] * rng.random(len(user)) ** 2).astype(np.int64)
    cluster = np.where(rng.random(len(user)) < ANYWHERE, -1, liked[which])
    item = shelf.take(cluster, rng)
    _, at = np.unique(user * len(shelf.item) + item, return_index=True)
    at.sort()
    user, item = user[at], item[at]
    place = np.arange(len(user)) - np.searchsorted(user, user)
    kept = place < length[user]
    return Tastes(first, liked), user[kept], item[kept]


def _from_the_end(user: Ints) -> Ints:
    """Return how many interactions of the same user follow each one."""
    return np.searchsorted(user, user, "right") - np.arange(len(user)) - 1


def _times(user: Ints, rng: np.random.Generator) -> Ints:
    at = FIRST_DAY + rng.integers(YEAR, size=len(user))
    return at[np.lexsort((at, user))]


def _interactions(parts: list[tuple[Ints, Ints, Ints]]) -> Interactions:
    user, item, at = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Interactions(user, item, np.ones(len(user), dtype=np.float32), at)


def _facts(shelf: Shelf, rng: np.random.Generator) -> tuple[Facts, Vocabulary]:
    """Give each item two genres, a maker and three tags; most go with its cluster."""
    makers, tags = max(len(shelf.item) // 20, 2), max(len(shelf.item) // 50, 2)
    counts = np.array([GENRES, makers, tags])
    offset = np.concatenate([[0], np.cumsum(counts)])
    columns = []
    for relation, taken, choices, noise in ((0, 2, 2, 0.1), (1, 1, 10, 0.2), (2, 3, 8, 0.5)):
        for _ in range(taken):
            pick = shelf.cluster * 7919 + rng.integers(choices, size=len(shelf.item)) * 104_729
            stray = rng.random(len(pick)) < noise
            pick[stray] = rng.integers(counts[relation], size=int(stray.sum()))
            columns.append((relation, offset[relation] + pick % counts[relation]))
    item = np.tile(np.arange(len(shelf.item)), len(columns))
    relation = np.repeat([relation for relation, _ in columns], len(shelf.item))
    entity = np.concatenate([entity for _, entity in columns])
    ones = np.ones(len(item), dtype=np.float32)
    kinds = zip("gmt", counts, strict=True)
    names = Vocabulary(f"{kind}{number}" for kind, count in kinds for number in range(count))
    return Facts(item, relation, entity, ones, ("HAS_GENRE", "MADE_BY", "HAS_TAG")), names


def describe(data: SplitDataset) -> Iterator[str]:
    """Say how large the data is, and how skewed."""
    taken = np.bincount(data.train.interactions.item, minlength=data.train.num_items)
    length = np.bincount(data.train.interactions.user, minlength=data.train.num_users)
    nodes = f"{data.train.num_users} users, {data.train.num_items} items"
    yield f"{nodes}, {len(data.train.facts)} facts"
    yield f"{len(data.train.interactions)} train, {len(data.valid)} valid, {len(data.test)} test"
    yield f"history: median {np.median(length):.0f}, longest {length.max()}"
    yield f"item: median {np.median(taken):.0f}, most {taken.max()}, never {np.sum(taken == 0)}"


def write(data: SplitDataset, folder: Path) -> None:
    """Write the data as the atomic files of a split, `FOLDER/generated.*`."""
    folder.mkdir(parents=True, exist_ok=True)
    users, items, facts = data.train.users, data.train.items, data.train.facts
    for part, rows in (
        ("train", data.train.interactions),
        ("valid", data.valid),
        ("test", data.test),
    ):
        pairs = zip(users.take(rows.user), items.take(rows.item), rows.at // 1000, strict=True)
        _table(folder, f"{part}.inter", "user_id:token item_id:token timestamp:float", pairs)
    triples = zip(
        (f"item/{item}" for item in items.take(facts.item)),
        (facts.relations[relation] for relation in facts.relation),
        data.train.entities.take(facts.entity),
        strict=True,
    )
    _table(folder, "kg", "head_id:token relation_id:token tail_id:token", triples)
    links = ((item, f"item/{item}") for item in items.ids)
    _table(folder, "link", "item_id:token entity_id:token", links)


def _table(folder: Path, kind: str, header: str, rows: Iterable[Iterable[object]]) -> None:
    lines = ["\t".join(header.split()), *("\t".join(map(str, row)) for row in rows)]
    (folder / f"generated.{kind}").write_text("\n".join(lines) + "\n", encoding="utf-8")


def peak_gib() -> float:
    """Return the most memory that this process has held, in GiB."""
    return peak_memory() / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--interactions", type=int, default=20_000_000)
    parser.add_argument("--out", type=Path, help="folder to write atomic files to")
    options = parser.parse_args()
    begun = time.perf_counter()
    data = generate(options.users, options.items, options.interactions)
    if options.out is not None:
        write(data, options.out)
    print(*describe(data), sep="\n")
    print(f"{time.perf_counter() - begun:.1f} s, {peak_gib():.1f} GiB at most")


if __name__ == "__main__":
    main()
