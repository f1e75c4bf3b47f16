"""What links and declared properties of users give on real data, with paired intervals.

    python examples/benchmarks/hops.py films FOLDER [--agents linear,knowledge] [--least 3]
    python examples/benchmarks/hops.py agent FOLDER [--protocols warm,cold-item]
    python examples/benchmarks/hops.py users FOLDER
    python examples/benchmarks/hops.py liked FOLDER
    python examples/benchmarks/hops.py graph FOLDER

`films` reads `ratings.csv`, `catalog.csv` and `people.csv` and links each director with the actors
of the films they directed: warm (8:1:1 by chance) and cold (a tenth of the films are new, ranked
among themselves by the cosine of knowledge, by which `collaborative` scores cold items), with the
facts that the links stand beside. `agent` fits the knowledge agent alone, on facts, without texts,
with the same links and without. `users` reads atomic files with a `NAME.user` and ranks for users
whose history nobody has seen. `liked` hides the histories of users and ranks for them by directors,
actors, genres or keywords that they are taken to like: those that half of their history, which is
hidden as well, holds most often; the other half is to be found. `graph` says
which triples of a `.kg` lead beyond facts. FOLDER holds tables of films, as of `films`, or atomic
files. Settings are chosen on the validation part; figures are of the test part.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from linear_forms import read_films

from kgrec.data.atomic import SplitDataset, read_folder, read_whole
from kgrec.data.dataset import Dataset, Interactions, Links, LinkType
from kgrec.data.protocols import ProtocolConfig, hold_out
from kgrec.evaluation.protocol import HeldOutTargets, evaluate_ranking
from kgrec.learning.agent import FitContext
from kgrec.learning.fit_team import fit_team
from kgrec.learning.knowledge.agent import KnowledgeAgent, KnowledgeConfig
from kgrec.learning.knowledge_features import cosine_rows
from kgrec.learning.profile import learn_profile
from kgrec.learning.team_config import TeamConfig
from kgrec.metrics.intervals import compare_at
from kgrec.metrics.ranking import Values
from kgrec.model.kernel import Kernel
from kgrec.model.profile import Profile
from kgrec.model.team import Team

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from newcomers import without

KS = (10, 20)
SEED = 2024
EACH = 3
"""How many entities of a kind a user likes."""
PerUser = dict[int, dict[str, Values]]
NAMES = {
    "director": ("DIRECTOR", "DIRECTED_BY", "film.film.directed_by"),
    "actor": ("ACTOR", "STARS", "film.film.actor"),
    "genre": ("GENRE", "HAS_GENRE", "film.film.genre"),
    "keyword": ("KEYWORD", "HAS_KEYWORD", "film.film.subjects"),
}
"""What the relations of the data sets are called, by what they lead to."""


def read_any(folder: Path, least: int) -> SplitDataset:
    """Read tables of films, or atomic files, with all interactions in `train`."""
    tables = (folder / "ratings.csv").is_file()
    return frequent(read_films(folder) if tables else read_whole(folder), least)


def frequent(data: SplitDataset, least: int) -> SplitDataset:
    """Keep the films of so many ratings, all in `train`."""
    train = data.train
    taken = train.interactions.concat(data.valid, data.test)
    count = np.bincount(taken.item, minlength=train.num_items)
    dataset = without(replace(train, interactions=taken), np.flatnonzero(count < least))
    none = Interactions.empty()
    return SplitDataset(data.name, dataset, none, none)


def relation_of(dataset: Dataset, role: str) -> int:
    """Return the index of the relation to what films share of this kind."""
    relations = dataset.facts.relations
    return next(relations.index(name) for name in NAMES[role] if name in relations)


def collaborations(dataset: Dataset) -> Links:
    """Link each director with the actors of their films."""
    facts = dataset.facts
    pairs = set()
    director, actor = (relation_of(dataset, name) for name in ("director", "actor"))
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
    rows = np.flatnonzero(facts.relation != relation_of(dataset, "actor"))
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


def agent(folder: Path, least: int, protocols: tuple[str, ...]) -> None:
    """Compare the knowledge agent, by itself, with and without links."""
    whole = read_any(folder, least)
    links = collaborations(whole.train)
    print(f"{whole.train.num_items} films, {len(whole.train.facts)} facts, {len(links)} links")
    for name in protocols:
        data = hold_out(whole, ProtocolConfig(name=name), seed=SEED)  # type: ignore[arg-type]
        linked = replace(data, train=replace(data.train, links=links))
        few = replace(data, train=without_actors(data.train))
        for title, bare, joined in (
            (
                "without facts about actors",
                few,
                replace(linked, train=without_actors(linked.train)),
            ),
            ("all facts", data, linked),
        ):
            print(f"{name}, {title}: validation, then test", flush=True)
            base = fitted_knowledge(bare, 0)
            for layers in (1, 2):
                found = fitted_knowledge(joined, layers)
                for part in range(2):
                    if layers == 1:
                        show("without links", base[part])
                    show(f"  links, {layers} layers", found[part], base[part])


def fitted_knowledge(data: SplitDataset, layers: int) -> tuple[PerUser, PerUser]:
    """Fit the knowledge agent and return the metrics of the validation users and the test users.

    New items are ranked among themselves.
    """
    context = FitContext(data.train, data.valid, SEED, given=data.valid_given)
    kernel = KnowledgeAgent(KnowledgeConfig(link_layers=layers)).fit(context)
    if data.train.links and layers:
        print(f"    weights of links {kernel.notes.get('links')}", flush=True)
    shape = data.train.num_users, data.train.num_items
    known = data.train.interactions
    found = []
    for given, seen, part in (
        (known.concat(data.valid_given), known.concat(data.valid_given), data.valid),
        (known.concat(data.test_given), known.concat(data.valid, data.test_given), data.test),
    ):
        among = None if data.cold is None else np.unique(part.item)
        matrix = seen.matrix(*shape)
        _, lists = evaluate_ranking(
            kernel, given.matrix(*shape), matrix, part, KS, among=among, seed=SEED
        )
        found.append(HeldOutTargets.of(matrix, part, seed=SEED).values(lists.items, KS))
    return found[0], found[1]


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
    declared = masked_values(questions, profile_rows(data, profile), profile.prior, nothing)
    popular = masked_values(questions, None, profile.prior, nothing)
    show("popularity", popular)
    show("what users declare", declared, popular)
    for known in profile.properties:
        alone = replace(
            data, user_columns=tuple(c for c in data.user_columns if c.name == known.name)
        )
        one, _ = learn_profile(replace(context, train=alone.with_interactions(train)))
        assert one is not None
        found = masked_values(questions, profile_rows(alone, one), one.prior, nothing)
        show(f"  {known.name} alone", found, popular)


def liked(folder: Path, least: int) -> None:
    """Rank for users without a history by entities that they like, and by popularity.

    Half of each such user's interactions, by chance, say what the user likes and are hidden;
    the other half is to be found.
    """
    whole = read_any(folder, least).train
    rng = np.random.default_rng(SEED)
    order = rng.permutation(whole.num_users)
    fifth = whole.num_users // 5
    parts = order[2 * fifth :], order[:fifth], order[fifth : 2 * fifth]
    train, valid, test = (
        whole.interactions.take(np.isin(whole.interactions.user, p)) for p in parts
    )
    (valid_shown, valid), (test_shown, test) = (halves(part, rng) for part in (valid, test))
    # Whoever is learned from says no more of what they like than whoever is asked.
    train_shown, _ = halves(train, rng)
    shown = train_shown.concat(valid_shown, test_shown)
    data = whole.with_interactions(train)
    nothing = Interactions.empty().matrix(whole.num_users, whole.num_items)
    on_test = HeldOutTargets.of(test_shown.matrix(*nothing.shape), test, seed=SEED)
    hidden = test_shown.matrix(*nothing.shape).astype(bool)
    show("popularity", popular := masked_values(on_test, None, log_counts(data), hidden))
    for roles in (("director",), ("actor",), ("genre",), ("keyword",), tuple(NAMES)):
        tried = []
        for power in (0.0, 0.5):
            likes = favourites(whole, shown, roles, power)
            known = replace(data, links=likes, user_columns=())
            profile, notes = learn_profile(FitContext(known, valid, given=valid_shown))
            assert profile is not None
            tried.append((notes["metric"], power, notes, known, profile))
        _, power, notes, known, profile = max(tried, key=lambda one: one[0])
        name = roles[0] if len(roles) == 1 else "of each kind"
        found = masked_values(on_test, liked_rows(known, profile), profile.prior, hidden)
        show(f"  {EACH} {name}, power {power:g}", found, popular)
        print(f"      validation {notes}", flush=True)


def log_counts(data: Dataset) -> np.ndarray:
    """Return the logarithm of how often each item was chosen, float64 [I]."""
    count = np.bincount(data.interactions.item, minlength=data.num_items)
    return np.asarray(np.log(count + 0.5))


def halves(part: Interactions, rng: np.random.Generator) -> tuple[Interactions, Interactions]:
    """Split each user's interactions into two halves by chance."""
    first = np.zeros(len(part), dtype=bool)
    for user in np.unique(part.user):
        rows = rng.permutation(np.flatnonzero(part.user == user))
        first[rows[: len(rows) // 2]] = True
    return part.take(first), part.take(~first)


def favourites(data: Dataset, shown: Interactions, roles: tuple[str, ...], power: float) -> Links:
    """Return what users like: of each kind the entities that they chose most.

    An entity counts by the interactions of 4 stars and more (all, where nothing is rated) with the
    items that hold it, over those of all users to this power.
    """
    high = shown.take(shown.value >= min(4.0, float(shown.value.max())))
    matrix = high.matrix(data.num_users, data.num_items)
    matrix.data[:] = 1.0
    edges: dict[tuple[LinkType, int, int], float] = {}
    facts = data.facts
    kind = LinkType("user", "LIKES", "entity")
    for role in roles:
        rows = facts.relation == relation_of(data, role)
        ones = np.ones(int(rows.sum()), dtype=np.float32)
        ends = facts.item[rows], facts.entity[rows]
        holds = sp.csr_matrix((ones, ends), shape=(data.num_items, len(data.entities)))
        chosen = (matrix @ holds).toarray()
        chosen /= np.maximum(chosen.sum(axis=0), 1.0) ** power
        best = np.argsort(-chosen, axis=1, kind="stable")[:, :EACH]
        for user, entities in enumerate(best):
            for entity in entities[chosen[user, entities] > 0]:
                edges[kind, user, int(entity)] = 1.0
    return Links.distinct(edges)


def liked_rows(data: Dataset, profile: Profile) -> np.ndarray:
    """Return the scores of all users by what they like, without popularity, [U, I]."""
    mine: dict[int, list[str]] = {}
    for user, entity in zip(data.links.head, data.links.tail, strict=True):
        mine.setdefault(int(user), []).append(data.entities.ids[int(entity)])
    values = [profile.values({}, mine.get(user, ())) for user in range(data.num_users)]
    return np.array([profile.scores(rows) - profile.prior for rows in values])


def masked_values(
    questions: HeldOutTargets, scores: np.ndarray | None, prior: np.ndarray, hidden: sp.csr_matrix
) -> PerUser:
    """Return the metrics of each test user; what a user was seen to like is not ranked."""
    found = np.tile(prior.astype(np.float64), (len(questions.users), 1))
    if scores is not None:
        found += scores[questions.users]
    found[hidden[questions.users].toarray()] = -np.inf
    return questions.values(np.argsort(-found, axis=1, kind="stable")[:, : max(KS)], KS)


def profile_rows(data: Dataset, profile: Profile) -> np.ndarray:
    """Return the scores of all users by what they declare, without popularity, [U, I]."""
    rows = []
    for user in range(data.num_users):
        declared: dict[str, object] = {}
        for column in data.user_columns:
            value = column.values[user]
            if column.categories is not None:
                declared[column.name] = column.categories[int(value)] if value >= 0 else None
            else:
                declared[column.name] = float(value)
        values = profile.values(declared)
        rows.append(profile.scores(values) - profile.prior)
    return np.array(rows)


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
    parser.add_argument("what", choices=["films", "agent", "users", "liked", "graph"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--agents", default="linear")
    parser.add_argument("--least", type=int, default=3)
    parser.add_argument("--protocols", default="warm,cold-item")
    options = parser.parse_args()
    protocols = tuple(options.protocols.split(","))
    if options.what == "films":
        films(options.folder, tuple(options.agents.split(",")), options.least, protocols)
    elif options.what == "agent":
        agent(options.folder, options.least, protocols)
    elif options.what == "users":
        users(options.folder)
    elif options.what == "liked":
        liked(options.folder, options.least)
    else:
        graph(options.folder)


if __name__ == "__main__":
    main()
