"""Splink and pyJedAI on the same pairs of catalogues as resolution.py, without labels.

    python examples/benchmarks/resolution_peers.py ../shared/data/er --peer splink
    python examples/benchmarks/resolution_peers.py ../shared/data/er --peer pyjedai

To be run by a Python that has the peer. Each is given what its documentation starts with: Splink a
Jaro-Winkler comparison of every column that both files have, pairs that share a rare word, and EM;
pyJedAI its workflow of blocks, weighted edges and cosine of words. Columns are aligned by their
headers for both; kgrec aligns them by itself. A record is in one pair at most.

Each line: threshold, F1, precision, recall, matches, processor and wall seconds. Splink stops at a
probability of .5. pyJedAI has no way of its own to know where to stop: beside .5, its line has the
best threshold by the truth.
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

PAIRS = {
    "abt-buy": ("abt.csv", "buy.csv", "gt.csv"),
    "restaurants": ("rest1clean.csv", "rest2clean.csv", "gtclean.csv"),
    "imdb-tvdb": ("imdbclean.csv", "tvdbclean.csv", "gtclean.csv"),
}
Found = dict[tuple[str, str], float]


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file, with the last word of each header as the name of its column."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="|"))
    names = [re.split(r"[/#]", name)[-1] for name in rows[0]]
    return [dict(zip(names, row, strict=False)) for row in rows[1:]]


def by_splink(left: list[dict[str, str]], right: list[dict[str, str]]) -> Found:
    """Return the probability of each pair, by Splink's EM over the columns of both files."""
    import pandas
    import splink.comparison_library as compare
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on
    from splink.internals.exceptions import EMTrainingException

    shared = [name for name in left[0] if name in right[0] and name != "id"]
    frequent = Counter(word for row in (*left, *right) for word in words(row, shared))
    most = 0.02 * (len(left) + len(right))

    def frame(rows: list[dict[str, str]]) -> Any:
        held = [
            {"unique_id": row["id"], **{name: row[name] or None for name in shared}}
            | {"tokens": [word for word in words(row, shared) if frequent[word] <= most] or None}
            for row in rows
        ]
        return pandas.DataFrame(held)

    database = DuckDBAPI()
    tables = [
        database.register(frame(rows), table_name=name)
        for rows, name in ((left, "left_rows"), (right, "right_rows"))
    ]
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=[compare.JaroWinklerAtThresholds(name, [0.95, 0.88, 0.7]) for name in shared],
        blocking_rules_to_generate_predictions=[block_on("tokens", arrays_to_explode=["tokens"])],
    )
    linker = Linker(tables, settings)
    sure = [block_on(name) for name in shared[:2]]
    linker.training.estimate_probability_two_random_records_match(sure, recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for name in shared[:3]:
        with suppress(EMTrainingException):  # no two records agree in this column
            linker.training.estimate_parameters_using_expectation_maximisation(block_on(name))
    found = linker.inference.predict(threshold_match_probability=0.5).as_pandas_dataframe()
    pairs: Found = {}
    for row in found.to_dict("records"):
        one, other = row["unique_id_l"], row["unique_id_r"]
        if str(row.get("source_dataset_l", "left")) > str(row.get("source_dataset_r", "right")):
            one, other = other, one
        pairs[one, other] = row["match_probability"]
    return pairs


def by_pyjedai(left: list[dict[str, str]], right: list[dict[str, str]]) -> Found:
    """Return the likeness of each pair that pyJedAI's workflow keeps."""
    import pandas
    from pyjedai.block_building import StandardBlocking
    from pyjedai.block_cleaning import BlockFiltering, BlockPurging
    from pyjedai.comparison_cleaning import WeightedEdgePruning
    from pyjedai.datamodel import Data
    from pyjedai.matching import EntityMatching

    one, other = (pandas.DataFrame(rows).fillna("").astype(str) for rows in (left, right))
    data = Data(
        dataset_1=one,
        id_column_name_1="id",
        attributes_1=[name for name in one.columns if name != "id"],
        dataset_2=other,
        id_column_name_2="id",
        attributes_2=[name for name in other.columns if name != "id"],
    )
    blocks = StandardBlocking().build_blocks(data, tqdm_disable=True)
    blocks = BlockPurging().process(blocks, data, tqdm_disable=True)
    blocks = BlockFiltering().process(blocks, data, tqdm_disable=True)
    kept = WeightedEdgePruning().process(blocks, data, tqdm_disable=True)
    matching = EntityMatching(
        metric="cosine", tokenizer="white_space_tokenizer", similarity_threshold=0.0
    )
    graph = matching.predict(kept, data, tqdm_disable=True)
    size = len(left)
    return {
        (left[min(i, j)]["id"], right[max(i, j) - size]["id"]): float(held["weight"])
        for i, j, held in graph.edges(data=True)
    }


def words(row: dict[str, str], columns: list[str]) -> list[str]:
    """Return the words of a row."""
    return sorted({word for name in columns for word in re.findall(r"\w+", row[name].lower())})


def one_to_one(found: Found) -> set[tuple[str, str]]:
    """Return the best pairs of which no two share a record."""
    lefts: set[str] = set()
    rights: set[str] = set()
    kept = set()
    for (one, other), _ in sorted(found.items(), key=lambda pair: (-pair[1], pair[0])):
        if one not in lefts and other not in rights:
            lefts.add(one)
            rights.add(other)
            kept.add((one, other))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peer", choices=["splink", "pyjedai"], required=True)
    parser.add_argument("--only", help="one pair")
    options = parser.parse_args()
    link = by_splink if options.peer == "splink" else by_pyjedai
    for name, files in PAIRS.items():
        if options.only not in (None, name):
            continue
        left, right, true = (read(options.folder / name / file) for file in files)
        truth = {(row["D1"], row["D2"]) for row in true}
        begun, wall = time.process_time(), time.monotonic()
        found = link(left, right)
        spent, waited = time.process_time() - begun, time.monotonic() - wall
        scored = [scores(found, truth, cut / 20) for cut in range(20)]
        shown = [scored[10]] if options.peer == "splink" else [scored[10], max(scored)]
        for f1, cut, precision, recall, matches in shown:
            figures = f"{cut:.2f} {f1:.3f} {precision:.3f} {recall:.3f} {matches:>5}"
            print(f"{options.peer} {name:<12} {figures} {spent:.1f} {waited:.1f}", flush=True)


def scores(
    found: Found, truth: set[tuple[str, str]], threshold: float
) -> tuple[float, float, float, float, int]:
    """Return F1, the threshold, precision, recall and the number of matches from it on."""
    matches = one_to_one({pair: score for pair, score in found.items() if score >= threshold})
    hits = len(matches & truth)
    f1 = 2 * hits / max(1, len(matches) + len(truth))
    return f1, threshold, hits / max(1, len(matches)), hits / max(1, len(truth)), len(matches)


if __name__ == "__main__":
    main()
