"""What links and declared properties of users give on real data, with paired intervals.

    python examples/benchmarks/hops.py films FOLDER [--agents linear,knowledge] [--least 3]
    python examples/benchmarks/hops.py users FOLDER
    python examples/benchmarks/hops.py graph FOLDER

`films` reads `ratings.csv`, `catalog.csv` and `people.csv` and links each director with the actors
of the films they directed: warm (8:1:1 by chance) and cold (a tenth of the films are new, ranked
among themselves by the cosine of knowledge, by which `collaborative` scores cold items), with the
facts that the links stand beside. `users` reads atomic files with a
`NAME.user` and ranks for users whose history nobody has seen. `graph` says which triples of a `.kg`
lead beyond facts. Settings are chosen on the validation part; figures are of the test part.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from linear_forms import read_films

from kgrec.data.atomic import SplitDataset, read_folder, read_whole
from kgrec.data.dataset import Dataset, Interactions, Links, LinkType
from kgrec.data.protocols import ProtocolConfig, hold_out
from kgrec.data.vocabulary import Vocabulary
from kgrec.evaluation.protocol import HeldOutTargets, evaluate_ranking
from kgrec.learning.agent import FitContext
from kgrec.learning.fit_team import fit_team
from kgrec.learning.knowledge_features import cosine_rows
from kgrec.learning.profile import learn_profile
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.intervals import compare_at
from kgrec.metrics.ranking import Values
from kgrec.model.kernel import Kernel
from kgrec.model.team import Team

KS = (10, 20)
SEED = 2024
PerUser = dict[int, dict[str, Values]]


def frequent(data: SplitDataset, least: int) -> SplitDataset:
    """Keep the films of so many ratings, all in `train`."""
    train = data.train
    taken = train.interactions.concat(data.valid, data.test)
    count = np.bincount(taken.item, minlength=train.num_items)
    kept = np.flatnonzero(count >= least)
    place = np.full(train.num_items, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    taken = taken.take(place[taken.item] >= 0)
    facts = train.facts
    rows = np.flatnonzero(place[facts.item] >= 0)
    facts = replace(
        facts,
        item=place[facts.item[rows]],
        relation=facts.relation[rows],
        entity=facts.entity[rows],
        confidence=facts.confidence[rows],
    )
    dataset = replace(
        train,
        items=Vocabulary(train.items.take(kept)),
        interactions=replace(taken, item=place[taken.item]),
        facts=facts,
    )
    none = Interactions.empty()
    return SplitDataset(data.name, dataset, none, none)


def collaborations(dataset: Dataset) -> Links:
    """Link each director with the actors of their films."""
    facts = dataset.facts
    pairs = set()
    director, actor = (facts.relations.index(name) for name in ("DIRECTOR", "ACTOR"))
    cast: dict[int, list[int]] = {}
    for item, relation, entity in zip(facts.item, facts.relation, facts.entity, strict=True):
        if relation == actor:
            cast.setdefault(int(item), []).append(int(entity))
    for item, relation, entity in zip(facts.item, facts.relation, facts.entity, strict=True):
        if relation == director:
            pairs |= {(int(entity), other) for other in cast.get(int(item), ())}
    head, tail = np.array(sorted(pairs), dtype=np.int64).T
    sure = np.ones(len(head), dtype=np.float32)
    kind = (LinkType("entity", "WORKED_WITH", "entity"),)
    return Links(head, np.zeros_like(head), tail, sure, kind)


def without_actors(dataset: Dataset) -> Dataset:
    """Leave the facts about actors out."""
    facts = dataset.facts
    rows = np.flatnonzero(facts.relation != facts.relations.index("ACTOR"))
    columns = ("item", "relation", "entity", "confidence")
    return replace(
        dataset, facts=replace(facts, **{name: getattr(facts, name)[rows] for name in columns})
    )


def ranked(data: SplitDataset, agents: tuple[str, ...]) -> PerUser:
    """Fit a team and return the metrics of each test user; new items among themselves."""
    ranker: Kernel | Team
    if data.cold is not None:
        ranker = Kernel("cosine", rows=cosine_rows(data.train, 50), history_power=0.5)
    else:
        config = TeamConfig.model_validate({"agents": agents, "ranker": {"use": "never"}})
        ranker = fit_team(data.train, data.valid, config, given=data.valid_given)
        print(f"    {ranker.metrics['chosen']}", flush=True)
    shape = data.train.num_users, data.train.num_items
    histories = data.train.interactions.concat(data.test_given).matrix(*shape)
    seen = data.train.interactions.concat(data.valid, data.test_given).matrix(*shape)
    _, lists = evaluate_ranking(ranker, histories, seen, data.test, KS, among=data.cold, seed=SEED)
    return HeldOutTargets.of(seen, data.test, seed=SEED).values(lists.items, KS)


def show(name: str, ours: PerUser, theirs: PerUser | None = None) -> None:
    """Print the means, and where there is another ranker the paired differences."""
    means = [f"{m}@{k} {ours[k][m].mean():.4f}" for k, m in ((10, "recall"), (20, "ndcg"))]
    line = f"  {name:42} " + "  ".join(means)
    if theirs is not None:
        found = compare_at(ours, theirs, seed=SEED)
        for k, metric in ((10, "recall"), (20, "ndcg")):
            one = found[k][metric]
            line += f"  {metric}@{k} {one.mean:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
    print(line, flush=True)


def films(folder: Path, agents: tuple[str, ...], least: int, protocols: tuple[str, ...]) -> None:
    """Compare facts with and without links."""
    whole = frequent(read_films(folder), least)
    links = collaborations(whole.train)
    print(f"{whole.train.num_items} films, {len(whole.train.facts)} facts, {len(links)} links")
    for name in protocols:
        data = hold_out(whole, ProtocolConfig(name=name), seed=SEED)  # type: ignore[arg-type]
        print(f"{name}, {'cosine of knowledge' if data.cold is not None else ', '.join(agents)}")
        few = replace(data, train=without_actors(data.train))
        base = ranked(few, agents)
        show("genres, keywords, directors", base)
        linked = replace(few, train=replace(few.train, links=links))
        show("  and links to actors", ranked(linked, agents), base)
        full = ranked(data, agents)
        show("  and actors as facts", full, base)
        both = replace(data, train=replace(data.train, links=links))
        show("actors as facts, and links (to the last)", ranked(both, agents), full)


def users(folder: Path) -> None:
    """Rank for users without a history: by what they declare, and by popularity."""
    data = read_whole(folder).train
    order = np.random.default_rng(SEED).permutation(data.num_users)
    tenth = data.num_users // 10
    parts = [order[4 * tenth :], order[: 2 * tenth], order[2 * tenth : 4 * tenth]]
    train, valid, test = (data.interactions.take(np.isin(data.interactions.user, p)) for p in parts)
    context = FitContext(data.with_interactions(train), valid)
    profile, notes = learn_profile(context)
    assert profile is not None
    print(f"{', '.join(known.name for known in profile.properties)}: {notes}")
    nothing = Interactions.empty().matrix(data.num_users, data.num_items)
    questions = HeldOutTargets.of(nothing, test, seed=SEED)
    declared = questions_values(questions, profile_rows(data, profile), profile.prior)
    popular = questions_values(questions, None, profile.prior)
    show("popularity", popular)
    show("what users declare", declared, popular)
    for known in profile.properties:
        alone = replace(
            data, user_columns=tuple(c for c in data.user_columns if c.name == known.name)
        )
        one, _ = learn_profile(replace(context, train=alone.with_interactions(train)))
        assert one is not None
        found = questions_values(questions, profile_rows(alone, one), one.prior)
        show(f"  {known.name} alone", found, popular)


def profile_rows(data: Dataset, profile: object) -> np.ndarray:
    """Return the scores of all users by what they declare, without popularity, [U, I]."""
    rows = []
    for user in range(data.num_users):
        declared = {}
        for column in data.user_columns:
            value = column.values[user]
            if column.categories is not None:
                declared[column.name] = column.categories[int(value)] if value >= 0 else None
            else:
                declared[column.name] = float(value)
        values = profile.values(declared)  # type: ignore[attr-defined]
        rows.append(profile.scores(values) - profile.prior)  # type: ignore[attr-defined]
    return np.array(rows)


def questions_values(
    questions: HeldOutTargets, scores: np.ndarray | None, prior: np.ndarray
) -> PerUser:
    """Return the metrics of each test user of these scores and popularity together."""
    found = np.tile(prior.astype(np.float64), (len(questions.users), 1))
    if scores is not None:
        found += scores[questions.users]
    return questions.values(np.argsort(-found, axis=1, kind="stable")[:, : max(KS)], KS)


def graph(folder: Path) -> None:
    """Say what a graph holds beyond facts."""
    train = read_folder(folder).train
    kinds = [f"{kind.head}-{kind.tail}" for kind in train.links.types]
    counts = dict.fromkeys(kinds, 0)
    for relation in train.links.relation:
        counts[kinds[relation]] += 1
    print(f"{len(train.facts)} facts, {len(train.links)} links {counts or ''}")


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["films", "users", "graph"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--agents", default="linear")
    parser.add_argument("--least", type=int, default=3)
    parser.add_argument("--protocols", default="warm,cold-item")
    options = parser.parse_args()
    if options.what == "films":
        protocols = tuple(options.protocols.split(","))
        films(options.folder, tuple(options.agents.split(",")), options.least, protocols)
    elif options.what == "users":
        users(options.folder)
    else:
        graph(options.folder)


if __name__ == "__main__":
    main()
