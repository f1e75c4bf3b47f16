"""Which records of two sources are one: score and posterior learned from each other.

Self-training without labels, as in ZeroER (Wu et al., SIGMOD 2020), by what every pair of sources
holds without any: a record's best candidate but one is a stranger if the best is its partner, and
the nearest record within a source without doubles is one too (as AutoFJ uses it, Li et al., SIGMOD
2021). A logistic regression parts the best candidates from those; a mixture over its odds gives
the share of the best ones that are matches at all, down to none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from kgrec.progress import SILENT, Progress
from kgrec.resolution.candidates import PLAIN, Candidates, find_candidates
from kgrec.resolution.config import ResolutionConfig
from kgrec.resolution.logistic import fit
from kgrec.resolution.mixture import posterior
from kgrec.resolution.reading import RecordTable
from kgrec.resolution.rivals import Best, best_and_next, best_within

Float = NDArray[np.float64]
_SURE = 0.999
_START_POWER = 6
_LABEL_WEIGHT = 5.0
_WIDE = 6.0
_MANY = 0.6
_STEPS = 5
_RICHER = 0.1


@dataclass(frozen=True)
class Matching:
    """Best candidates with their probabilities, each record in one pair at most.

    Attributes:
        pairs: rows of left and right, [M, 2], the most probable first.
        probability: [M].
        threshold: from which on a pair counts as a match.
        candidates: how many pairs were compared.
        aligned: columns that hold the same in both sources.
    """

    pairs: NDArray[np.int64]
    probability: Float
    threshold: float
    candidates: int
    aligned: tuple[tuple[str, str], ...]

    @property
    def matches(self) -> NDArray[np.int64]:
        """Rows of the pairs that are matches, [K, 2]."""
        return self.pairs[self.probability >= self.threshold]


def match(
    left: RecordTable,
    right: RecordTable,
    labels: Mapping[tuple[int, int], bool] | None = None,
    config: ResolutionConfig | None = None,
    progress: Progress = SILENT,
) -> Matching:
    """Find the records of two sources that are one.

    Args:
        labels: whether the records of two rows are one, for the pairs where that is known.
    """
    config = config or ResolutionConfig()
    if not len(left) or not len(right):
        return Matching(np.empty((0, 2), np.int64), np.empty(0), config.threshold, 0, ())
    found = find_candidates(left, right, config, progress)
    turned = len(left) > len(right)
    known = {(j, i) if turned else (i, j): label for (i, j), label in (labels or {}).items()}
    found = _turned(found) if turned else found
    edges, share = _learn(found, known, config, progress, dense=True)
    if len(share) and share.mean() < _MANY:
        edges, share = _learn(found, known, config, progress, dense=False)
    found = _turned(found) if turned else found
    share = _held_back(share, found.pairs[edges], (left, right), labels or {}, config)
    order = np.argsort(-share, kind="stable")
    pairs = found.pairs[edges][order]
    return Matching(pairs, share[order], config.threshold, len(found.pairs), found.aligned)


def _held_back(
    share: Float,
    pairs: NDArray[np.int64],
    tables: tuple[RecordTable, RecordTable],
    labels: Mapping[tuple[int, int], bool],
    config: ResolutionConfig,
) -> Float:
    """Lower the probability of pairs of records with one cell each, where others have more.

    Such records are often no records of the kind that is sought, such as a city among restaurants,
    and two of one name cannot be kept apart. A label that calls one a match lifts this.
    """
    bare = [_bare(table) for table in tables]
    both = bare[0][pairs[:, 0]] & bare[1][pairs[:, 1]]
    if any(label and bare[0][i] and bare[1][j] for (i, j), label in labels.items()):
        return share
    return np.where(both, config.of_one_cell * share, share)


def _bare(table: RecordTable) -> NDArray[np.bool_]:
    """Return which records have one cell alone, bool [N]; none where few others have more."""
    filled = np.zeros(len(table), dtype=np.int64)
    for cells in table.columns.values():
        filled += np.fromiter(map(bool, cells), dtype=np.bool_, count=len(cells))
    few = filled <= 1
    return few if (~few).mean() >= _RICHER else np.zeros_like(few)


def _turned(found: Candidates) -> Candidates:
    """Return the same with the smaller source first: it is its records that seek a partner."""
    return Candidates(
        found.sizes[::-1], found.pairs[:, ::-1], found.within[::-1], found.x,
        found.x_within[::-1], found.names, found.aligned,
    )  # fmt: skip


def _learn(
    found: Candidates,
    labels: Mapping[tuple[int, int], bool],
    config: ResolutionConfig,
    progress: Progress,
    *,
    dense: bool,
) -> tuple[NDArray[np.int64], Float]:
    """Learn score and posterior from each other.

    Args:
        dense: that of the regression itself, by score and margins alone: right where most records
            have a partner, and too high where few have. Else that of the mixture.

    Returns:
        The best candidates and their probabilities.
    """
    if not len(found.pairs):
        return np.empty(0, np.int64), np.empty(0)
    known = _label_of_edges(found, labels)
    within = config.model_copy(update={"within": 0.0}) if dense else config
    score, *inner = _first_scores(found)
    share_of = np.full(len(found.pairs), np.nan)
    leads: Float | None = None
    rounds = config.rounds * 2 if dense else config.rounds
    with progress.task("learn", total=rounds) as task:
        for number in range(rounds):
            best, following = best_and_next(found.pairs, score, found.sizes)
            nearest = [
                best_within(*one) for one in zip(found.within, inner, found.sizes, strict=True)
            ]
            if leads is None:
                leads = np.full((found.sizes[0], 2), np.nan)
                leads[found.pairs[best.edge, 0]] = np.column_stack(
                    [best.margins[:, 0], following.margins[:, 0]]
                )
                share = _start(best, following if dense else None)
            else:
                share = np.clip(np.nan_to_num(share_of[best.edge]), 1 - _SURE, _SURE)
            scale = max(float(np.std(score)), 1e-6)
            features = [found.x, found.x, *found.x_within]
            if dense:
                features = [x[:, :0] for x in features]
            four = (best, following, *nearest)
            stack = [_rows(one, x, scale) for one, x in zip(four, features, strict=True)]
            own = known[best.edge]
            near = np.concatenate(stack[2:])
            lead = leads[found.pairs[best.edge, 0]]
            lead = np.where(np.isfinite(lead).all(axis=1)[:, None], lead.clip(0, _WIDE), 0.0)
            for last in [False] * (_STEPS - 1 if dense else 1) + [True]:
                share = np.where(np.isnan(own), share, np.clip(own, 1 - _SURE, _SURE))
                odds, strangers = _odds(stack, near, following, share, own, within)
                final = last and number == rounds - 1
                share = expit(odds) if dense else posterior(odds, strangers, lead, final=final)
            share_of[:] = np.nan
            share_of[best.edge] = np.where(np.isnan(own), share, own)
            score, *inner = _scores(found, nearest, share_of, known, within)
            task.advance()
    return best.edge, _calibrated(share, odds, own)


def _label_of_edges(found: Candidates, labels: Mapping[tuple[int, int], bool]) -> Float:
    known = np.full(len(found.pairs), np.nan)
    if labels:
        width = found.sizes[1]
        keys = found.pairs[:, 0] * width + found.pairs[:, 1]
        order = np.argsort(keys)
        wanted = np.array([i * width + j for i, j in labels])
        at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        there = keys[order][at] == wanted
        known[order[at[there]]] = np.array(list(labels.values()), float)[there]
    return known


def _first_scores(found: Candidates) -> tuple[Float, Float, Float]:
    """Return the mean of the plainest features, standardised, for all three sets of pairs."""
    columns = [found.names.index(name) for name in PLAIN]
    mean = found.x[:, columns].mean(axis=1)
    centre, spread = mean.mean(), max(float(mean.std()), 1e-6)
    one, other = ((x[:, columns].mean(axis=1) - centre) / spread for x in found.x_within)
    return (mean - centre) / spread, one, other


def _start(best: Best, following: Best | None) -> Float:
    """Return high probabilities only where a candidate leads far at both of its ends."""
    lead = np.where(np.isnan(best.margins), 0.0, best.margins).clip(min=0)
    scale = np.maximum(np.median(lead, axis=0), 1e-3)
    if following is not None:
        # How far the best of strangers leads is about how far the second one does.
        behind = following.margins[:, :1].clip(min=0)
        usual = float(np.nanmedian(behind)) if np.isfinite(behind).any() else 0.0
        scale = np.maximum((np.nan_to_num(behind, nan=usual) + usual) / 2, 1e-3)
    far = (1 - np.exp(-lead / scale)).prod(axis=1) ** _START_POWER
    return np.asarray(np.clip(far, 1 - _SURE, _SURE))


def _rows(best: Best, x: Float, scale: float) -> Float:
    return np.column_stack([best.columns(scale), x[best.edge]])


def _odds(
    stack: list[Float],
    near: Float,
    following: Best,
    share: Float,
    own: Float,
    config: ResolutionConfig,
) -> tuple[Float, Float]:
    """Return the log-odds of the best candidates and of the next ones, NaN where there is none."""
    top, second, count = stack[0], stack[1], len(share)
    there = following.edge >= 0
    held = ~np.isnan(own)
    x = np.concatenate([top, top, second[there], near])
    target = np.concatenate([np.ones(count), np.zeros(len(x) - count)])
    times = np.where(held, _LABEL_WEIGHT, 1.0)
    each = config.within * count / max(len(near), 1) * (1 - share.mean())
    weight = np.concatenate([
        share * times, (1 - share) * times, share[there], np.full(len(near), each)
    ])  # fmt: skip
    model = fit(x, target, weight + 1e-9, config.ridge, rising=True)
    # The regression saw more strangers than there are among the best candidates.
    seen, most = weight[:count].sum(), max(weight[count:].sum(), 1e-9)
    prior = np.clip(share.mean(), 1 - _SURE, _SURE)
    moved = logit(prior) - np.log(max(seen, 1e-9) / most)
    return model.odds(top) + moved, np.where(there, model.odds(second) + moved, np.nan)


def _scores(
    found: Candidates, nearest: list[Best], share_of: Float, known: Float, config: ResolutionConfig
) -> tuple[Float, Float, Float]:
    """Learn to score every candidate, and return the scores of all three sets of pairs."""
    near = np.concatenate([x[n.edge] for n, x in zip(nearest, found.x_within, strict=True)])
    share = share_of[~np.isnan(share_of)]
    target = np.where(np.isnan(known), np.nan_to_num(share_of), known)
    weight = np.where(np.isnan(known), 1.0, _LABEL_WEIGHT)
    each = config.within * len(share) / max(len(near), 1) * (1 - share.mean())
    x = np.concatenate([found.x, near])
    target = np.concatenate([target, np.zeros(len(near))])
    weight = np.concatenate([weight, np.full(len(near), each)])
    model = fit(x, target, weight, config.ridge)
    one, other = (model.odds(x) for x in found.x_within)
    return model.odds(found.x), one, other


def _calibrated(share: Float, odds: Float, own: Float) -> Float:
    """Return the posterior, moved by the labels that there are and set where a label decides."""
    held = ~np.isnan(own)
    if not held.any():
        return share
    level = np.column_stack([logit(np.clip(share, 1 - _SURE, _SURE)), odds])
    # The posterior of the mixture counts as labels of its own, so that few change it little.
    x = np.concatenate([level[held], level])
    target = np.concatenate([own[held], share])
    weight = np.concatenate([np.ones(held.sum()), np.full(len(share), held.sum() / len(share) / 4)])
    moved = expit(fit(x, target, weight, 0.1, rising=True).odds(level))
    return np.where(held, own, moved)
