"""What a scorer reaches that knows the tastes of a generated world: no ranker can do better.

    python examples/benchmarks/ceiling.py [--users 30000 --items 41000 --interactions 800000]

The score of an item is the probability that it comes next: the user's clusters as they were drawn,
and the popularity of the items in them. NDCG@20 of the test part among items that are not in train,
with its standard error, over a sample of users.
"""

from __future__ import annotations

import argparse

import numpy as np
from generated import ANYWHERE, Shelf, Tastes, generate

from kgrec.metrics.ranking import TopLists, hits_of, mask_seen, ndcg

SEED = 2024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=30_000)
    parser.add_argument("--items", type=int, default=41_000)
    parser.add_argument("--interactions", type=int, default=800_000)
    parser.add_argument("--sample", type=int, default=3_000)
    options = parser.parse_args()
    drawn: list[Tastes] = []
    data = generate(options.users, options.items, options.interactions, seed=SEED, drawn=drawn)
    shelf = Shelf.draw(options.items, np.random.default_rng(SEED))  # the first that it draws
    popularity = np.empty(options.items)
    popularity[shelf.item] = np.diff(shelf.reach)
    within = popularity / np.bincount(shelf.cluster, weights=popularity)[shelf.cluster]
    anywhere = ANYWHERE * popularity / popularity.sum()
    seen = data.train.matrix()
    truth = data.test.matrix(*seen.shape)
    users = np.flatnonzero(np.diff(truth.indptr))
    users = np.random.default_rng(1).choice(users, min(options.sample, len(users)), replace=False)
    top, values = TopLists(options.items, 20), []
    for user in users.tolist():
        liked = weights(drawn[user // 100_000], user % 100_000, int(shelf.cluster.max()) + 1)
        scores = anywhere + (1 - ANYWHERE) * liked[shelf.cluster] * within
        scores = scores.astype(np.float32)[None]
        mask_seen(scores, seen[[user]])
        right = truth[[user]]
        hits = hits_of(top(scores)[0], right)
        values.append(ndcg(hits, np.diff(right.indptr).astype(np.int64), 20)[0])
    print(f"NDCG@20 {np.mean(values):.4f} \u00b1 {np.std(values) / len(values) ** 0.5:.4f}")


def weights(tastes: Tastes, user: int, clusters: int) -> np.ndarray:
    """Return the probability of each cluster, float64 [C], where an item is of a taste."""
    liked = tastes.liked[tastes.first[user] : tastes.first[user + 1]]
    reach = np.sqrt(np.arange(len(liked) + 1) / len(liked))  # a square of a uniform number is drawn
    return np.bincount(liked, weights=np.diff(reach), minlength=clusters)


if __name__ == "__main__":
    main()
