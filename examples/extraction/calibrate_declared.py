"""Fit the confidence of the component `declared`, and measure it on texts that are held out.

    python examples/extraction/calibrate_declared.py declared.toml more.toml

Each file has [[texts]] with a domain, a title, a text and its facts ("RELATION name"); a file may
name one `domain` for all of its texts, and the `relations` that it annotates. Prints precision and
recall at several thresholds, each text scored by weights that were fitted without its fold, and
the weights that are fitted on all of them.
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgrec.schema import load_schema
from kgrec.text.encoder import encode
from kgrec.text.models import SPACY_MODEL
from kgrec.text.pipeline import load_spacy
from kgrec.text.sources.declared import FEATURES, Declarations, candidates
from kgrec.text.sources.spans import tied_spans

FOLDS = 8
PENALTY = 1.0  # of squared weights over standardised features
Floats = NDArray[np.float64]


def read(paths: list[Path]) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64], int]:
    """Return features [N, F], whether each is right, its text, and how many facts there are."""
    nlp = load_spacy(SPACY_MODEL, exclude=["senter"])
    rows: list[list[float]] = []
    right: list[bool] = []
    texts: list[int] = []
    number = facts = 0
    for path in paths:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        by_domain = defaultdict(list)
        for one in content["texts"]:
            by_domain[one.get("domain") or content.get("domain", "movies")].append(one)
        for name, members in by_domain.items():
            known = Declarations(load_schema().domain(name), encode, nlp)
            annotated = set(content.get("relations", known.names))
            for one in members:
                gold = {tuple(fact.split(" ", 1)) for fact in one["facts"]}
                facts += len(gold)
                spans = list(tied_spans(nlp(one["text"]), known.item_words, one["title"]))
                for row, relation, features in candidates(spans, known, nlp) if spans else ():
                    if known.names[relation] in annotated:
                        rows.append(features)
                        right.append((known.names[relation], spans[row].text) in gold)
                        texts.append(number)
                number += 1
    return np.array(rows), np.array(right), np.array(texts), facts


def fit(features: Floats, right: NDArray[np.bool_]) -> Floats:
    """Return weights of the features and the constant: ridge logistic regression by Newton."""
    mean, spread = features.mean(0), features.std(0) + 1e-9
    x = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    weights = np.zeros(x.shape[1])
    penalty = np.diag([PENALTY] * features.shape[1] + [0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (p - right) + penalty @ weights
        weights -= np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + penalty, gradient)
    own = weights[:-1] / spread
    return np.append(own, weights[-1] - own @ mean)


def main() -> None:
    """Print figures and weights."""
    features, right, texts, facts = read([Path(name) for name in sys.argv[1:]])
    fold = texts % FOLDS
    sure = np.empty(len(right))
    for number in range(FOLDS):
        weights = fit(features[fold != number], right[fold != number])
        sure[fold == number] = features[fold == number] @ weights[:-1] + weights[-1]
    sure = 1 / (1 + np.exp(-sure))
    print(f"{len(right)} pairs of {texts.max() + 1} texts, {right.sum()} right; {facts} facts")
    for least in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        kept = sure >= least
        share = right[kept].mean() if kept.any() else float("nan")
        recall = right[kept].sum() / facts
        print(f"{least:.1f}  stated {kept.sum():3}  P {share:.3f}  R {recall:.3f}")
    for low, high in pairwise([0.0, 0.2, 0.4, 0.6, 0.8, 1.01]):
        part = (sure >= low) & (sure < high)
        if part.any():
            mean, share = sure[part].mean(), right[part].mean()
            print(f"confidence {mean:.2f}  right {share:.2f}  of {part.sum()}")
    for name, weight in zip([*FEATURES, "constant"], fit(features, right), strict=True):
        print(f"    {weight:.3f},  # {name}")


if __name__ == "__main__":
    main()
