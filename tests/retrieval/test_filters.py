"""Filters as expressions: the grammar, and snapshot, graph and brute force side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from filter_draws import Facts, draw
from planted import Planted, item_id, planted, user_id, write_facts, write_items

from kgrec.data.records import entity_id
from kgrec.errors import ConfigError
from kgrec.graph.store import GraphStore
from kgrec.retrieval.expressions import MAX_CONDITION, MAX_DEPTH
from kgrec.retrieval.filters import MAX_LENGTH, Filter, parse_filter, passing, passing_of
from kgrec.retrieval.recommender import Recommender, RecommenderConfig
from kgrec.retrieval.snapshot import read_snapshot

COUNTRIES = ("France", "Japan", "Peru")


def shape(one: Filter) -> str:
    if one.rule is not None:
        return f"{one.rule}({', '.join(shape(part) for part in one.parts)})"
    if one.property is not None:
        bounds = [f"{b:g}" if isinstance(b, float | int) else b for b in (one.least, one.most)]
        return ".".join([*one.through, one.property]) + f"[{','.join(map(str, bounds))}]"
    return ".".join([*one.through, *one.relations]) + "=" + "|".join(one.entities)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("genre=Comedy and year=1990", "and(HAS_GENRE=Genre:comedy, year[1990,1990])"),
        (
            "genre=a or genre=b and not year=1..2",
            "or(HAS_GENRE=Genre:a, and(HAS_GENRE=Genre:b, not(year[1,2])))",
        ),
        ("(genre=a or genre=b) and year>1", "and(or(HAS_GENRE=Genre:a, HAS_GENRE=Genre:b), "),
        ("year!=5", "not(year[5,5])"),
        ("year<5 AND year>1", "and(year[-1e+15,4], year[2,1e+15])"),
        ("year=1|3..4", "or(year[1,1], year[3,4])"),
        ("directed_by.country = France", "DIRECTED_BY.BORN_IN=Place:france"),
        ("director.name=Ann", "DIRECTED_BY=Person:ann"),
        ("director.birth_year>=1960", "DIRECTED_BY.birth_year[1960,1e+15]"),
        ("director.gender=f|m", "or(DIRECTED_BY.gender[f,f], DIRECTED_BY.gender[m,m])"),
        ("keyword=black and white", "HAS_KEYWORD=Keyword:black and white"),
        (
            "keyword=black and white or year=3",
            "or(HAS_KEYWORD=Keyword:black and white, year[3,3])",
        ),
        ("based_on=Dracula (novel)", "BASED_ON=Work:dracula (novel)"),
        ("(based_on=Dracula (novel)) and year=3", "and(BASED_ON=Work:dracula (novel), year[3,3])"),
        ('keyword="a and year=3" | b', 'HAS_KEYWORD=Keyword:"a and year=3"|Keyword:a and year=3|'),
    ],
)
def test_expressions_are_read(text: str, expected: str) -> None:
    assert shape(parse_filter(text, "movies")).startswith(expected)


@pytest.mark.parametrize(
    ("text", "what", "remedy"),
    [
        ("(genre=Drama", "character 1", "Write"),
        ("genre=a and (year=1 or colour=red)", "'colour', at character 24", "Known: year"),
        ("genre=a and (year=x)", "at character 14", "year=1990..1999"),
        ("(genre=a) genre=b", "character 11, here an `and`", "Write"),
        ("director.contry=France", "'director.contry'", "name, born_in"),
        ("director.country>France", "'director.country'", "= and !="),
        ("(" * (MAX_DEPTH + 1) + "genre=a" + ")" * (MAX_DEPTH + 1), "deep", "Write"),
        (" or ".join(["year=1"] * 41), "at most 40 conditions", "Write"),
        (" or ".join(["genre=a"] * MAX_LENGTH), "characters", "several filters"),
        ("genre=" + "x" * MAX_CONDITION, "characters", "Write"),
    ],
    ids=lambda text: text[:20],
)
def test_an_error_names_position_value_and_remedy(text: str, what: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_filter(text, "movies")
    assert what in raised.value.what
    assert remedy in raised.value.remedy
    assert raised.value.value


@pytest.fixture(scope="module")
def born(store: GraphStore, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """A planted graph whose directors were born in countries, with one item without a year."""
    models: Path = tmp_path_factory.mktemp("models")
    live = planted(store, models)
    rows = [
        {"person": entity_id("Person", f"Director {n // 3}{n % 3}"), "place": place}
        for n, place in enumerate([*COUNTRIES, *COUNTRIES, *COUNTRIES[:2]])
    ]
    store.query(
        "UNWIND $rows AS row MERGE (p:Entity:Place {entity_id: 'Place:' + toLower(row.place)}) "
        "SET p.name = row.place WITH row, p MATCH (e:Entity {entity_id: row.person}) "
        "CREATE (e)-[:BORN_IN {confidence: 1.0}]->(p)",
        {"rows": rows},
        writing=True,
    )
    write_items(store, {"bare": {"title": "Bare"}})
    known = {"confidence": 1.0, "source": "", "extractor": "table", "evidence": ""}
    director = entity_id("Person", "Director 00")
    write_facts(store, "DIRECTED_BY", [{"item": "bare", "entity": director, "known": known}])
    return live


def test_snapshot_graph_and_brute_force_agree(born: Planted) -> None:
    facts, snapshot = Facts.read(born.store), read_snapshot(born.store)
    ids = np.array(snapshot.nodes["item"].ids)
    rng = np.random.default_rng(5)
    sizes = []
    for _ in range(60):
        text, expected = draw(rng, facts)
        filters = [parse_filter(text, "movies")]
        mask = passing_of(snapshot, filters)
        assert mask is not None
        assert set(ids[mask].tolist()) == expected, text
        assert set(passing(born.store, filters) or ()) == expected, text
        sizes.append(len(expected))
    assert sum(0 < size < len(ids) for size in sizes) > 30  # not all or nothing


@pytest.mark.parametrize("retrieval", ["memory", "graph"])
@pytest.mark.parametrize("resident", [False, True])
def test_a_narrow_filter_returns_k_where_k_exist(
    born: Planted, retrieval: str, resident: bool
) -> None:
    config = RecommenderConfig.model_validate({"retrieval": retrieval})
    recommender = Recommender(born.store, born.models, config, resident=resident)
    recommender.warm_up()
    text = "directed_by.country=France and genre=Drama and not year<=1980"
    facts = Facts.read(born.store)
    there = {item for item, year in facts.years.items() if year > 1980}
    there &= facts.over["directed_by", "born_in", "France"] & facts.one["genre", "Drama"]
    found = recommender.recommend(user_id(1), 10, filters=[text])
    items = {item.item_id for item in found.items}
    assert items <= there
    seen = {event.item_id for event in recommender.state(user_id(1)).interactions or ()}
    assert len(items) == min(10, len(there - seen)) > 3
    assert {
        item.item_id for item in recommender.recommend("nobody", 5, filters=[text]).items
    } <= there


def test_items_like_an_untrained_one_pass_the_filter(born: Planted) -> None:
    found = Recommender(born.store, born.models).similar("bare", 3, filters=["year=1984"])
    assert found.fallback == "untrained_item"
    assert [item.item_id for item in found.items] == [item_id(24), item_id(144)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("directed_by.birth_year>=1950", {"Director 01", "Director 10"}),
        ("director.birth_year=1940..1949|1960", {"Director 00", "Director 10"}),
        ("director.gender=f", {"Director 01"}),
        ("director.gender=f and director.birth_year<1940", set()),
        ("DIRECTED_BY.gender!=f", None),
    ],
)
def test_properties_of_entities_after_a_hop(
    born: Planted, text: str, wanted: set[str] | None
) -> None:
    known = {"Director 00": (1941, "m"), "Director 01": (1950, "f"), "Director 10": (1960, "m")}
    rows = [
        {"id": entity_id("Person", name), "born": year, "gender": gender}
        for name, (year, gender) in known.items()
    ]
    born.store.query(
        "UNWIND $rows AS row MATCH (e:Entity {entity_id: row.id}) "
        "SET e.birth_year = row.born, e.gender = row.gender",
        {"rows": rows},
        writing=True,
    )
    facts, snapshot = Facts.read(born.store), read_snapshot(born.store)
    ids = np.array(snapshot.nodes["item"].ids)
    if wanted is None:
        expected = set(ids.tolist()) - facts.one["director", "Director 01"]
    else:
        expected = {i for name in wanted for i in facts.one["director", name]}
    filters = [parse_filter(text, "movies")]
    mask = passing_of(snapshot, filters)
    assert mask is not None
    assert set(ids[mask].tolist()) == expected
    assert set(passing(born.store, filters) or ()) == expected


def test_a_filter_before_an_expression_is_still_all_of_them(born: Planted) -> None:
    recommender = Recommender(born.store, born.models)
    both = recommender.recommend(user_id(0), 50, filters=["genre=Drama", "year>=1980"])
    one = recommender.recommend(user_id(0), 50, filters=["genre=Drama and year>=1980"])
    assert [i.item_id for i in both.items] == [i.item_id for i in one.items]
    assert both.items
