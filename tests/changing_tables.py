"""Two complete tables that change from one load to the next, and what a graph holds of them."""

from __future__ import annotations

import random
from typing import Any

from kgrec.graph.store import GraphStore

RELATIONS = {"HAS_GENRE": "genres:|", "DIRECTED_BY": "director"}
COLUMNS = {
    "item_id": "movie_id",
    "title": "title",
    "year": "year",
    "description": "description",
}
_GENRES = ("Drama", "Crime", "Comedy", "Horror", "Western", "Sci-Fi", "War", "Noir")
_NODES = "MATCH (n) WHERE n:Item OR n:Entity RETURN labels(n) AS l, properties(n) AS p"
_FACTS = (
    "MATCH (a)-[f]->(b:Entity) RETURN coalesce(a.item_id, a.entity_id) AS a, type(f) AS t, "
    "b.entity_id AS b, f.source AS s, f.confidence AS c, f.extractor AS x"
)
_INTERACTIONS = (
    "MATCH (u:User)-[x:INTERACTED]->(i:Item) RETURN u.user_id AS u, i.item_id AS i, "
    "x.key AS k, x.kind AS kind, x.value AS v, x.at.epochMillis AS t, x.source AS s"
)


def contents(store: GraphStore) -> list[list[Any]]:
    """Return items and entities, facts, and interactions, each sorted."""
    found = []
    for query in (_NODES, _FACTS, _INTERACTIONS):
        rows = store.query(query, limit=100_000).rows
        for row in rows:
            if "p" in row:
                row["p"].pop("extracted", None)
                row["l"], row["p"] = sorted(row["l"]), sorted(row["p"].items())
        found.append(sorted(([*row.values()] for row in rows), key=repr))
    return found


class ChangingTables:
    """A catalogue of films and their ratings, changed at random in every way that rows change."""

    def __init__(self, seed: int, films: int = 60, ratings: int = 150) -> None:
        self._draw = random.Random(seed)
        self._step = 0
        self.films = {str(n): self._film() for n in range(films)}
        self.rows = {
            (f"user{n % 9}", self._draw.choice(list(self.films))): self._draw.randrange(1, 6)
            for n in range(ratings)
        }

    def change(self) -> None:
        """Delete, change and add films; then ratings, among them those of films that are gone."""
        draw, films = self._draw, self.films
        self._step += 1
        for each in draw.sample(sorted(films), 8):
            del films[each]
        for each in draw.sample(sorted(films), 12):
            films[each] = self._film()
        films |= {f"{100 * self._step + n}": self._film() for n in range(8)}
        rows = {pair: value for pair, value in self.rows.items() if pair[1] in films}
        for pair in draw.sample(sorted(rows), 10):
            del rows[pair]
        for pair in draw.sample(sorted(rows), 10):
            rows[pair] = 6 - rows[pair]
        self.rows = rows | {
            (f"user{draw.randrange(12)}", draw.choice(list(films))): draw.randrange(1, 6)
            for _ in range(25)
        }

    def catalogue(self) -> str:
        """Return the films as CSV."""
        lines = ["movie_id,title,year,genres,director,description"]
        lines += [",".join([each, *film.values()]) for each, film in self.films.items()]
        return "\n".join(lines) + "\n"

    def ratings(self) -> str:
        """Return the ratings as CSV."""
        lines = ["user_id,movie_id,rating,timestamp"]
        lines += [
            f"{user},{item},{value},{881250949 + len(user)}"
            for (user, item), value in self.rows.items()
        ]
        return "\n".join(lines) + "\n"

    def _film(self) -> dict[str, str]:
        draw = self._draw
        return {
            "title": f"Film {draw.randrange(10_000)}",
            "year": draw.choice(["", str(draw.randrange(1930, 2020))]),
            "genres": "|".join(sorted(draw.sample(_GENRES, draw.randrange(0, 4)))),
            "director": draw.choice(["", f"Director {draw.randrange(12)}"]),
            "description": draw.choice(["", f"A text of {draw.randrange(100)} words."]),
        }
