"""A graph moves from one engine to another and back, and is the same."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, cast

import neo4j
import pytest
import pytz
from neo4j.spatial import WGS84Point
from neo4j.time import DateTime, Duration
from planted import item_id, planted, user_id

from kgrec.errors import ConfigError, DataError, GraphError, KGRecError
from kgrec.graph import pages
from kgrec.graph.dump import export as exporting
from kgrec.graph.dump import load as loading
from kgrec.graph.dump.export import export_graph
from kgrec.graph.dump.load import import_graph
from kgrec.graph.dump.opening import Dump
from kgrec.graph.setup import check_whole, clear_graph, ensure_schema, unfinished_import
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.retrieval.recommender import Recommender
from kgrec.schema import load_schema
from kgrec.stages.extract import extract
from kgrec.stages.fold import Folder
from kgrec.stages.models import roll_back
from kgrec.stages.publish import publish
from kgrec.stages.retiring.restore import restore, sweep

BERLIN = pytz.timezone("Europe/Berlin")
VALUES: dict[str, Any] = {
    "v_whole": 2**62 + 1,
    "v_float": 1.0,
    "v_tiny": 5e-324,
    "v_minus_zero": -0.0,
    "v_infinite": [1.5, math.inf, -math.inf],
    "v_yes": True,
    "v_text": "a\"\\'\n\r\t\x00\x7f\u2028\ufeff\uffff😀{}[]`$x; é e\u0301 \u202eabc",
    "v_empty": "",
    "v_nothing": [],
    "v_bytes": b"\x00\xff",
    "v_words": ["", "a,b", "{}"],
    "v_numbers": [1, -2],
    "v_flags": [True, False],
    "v_day": date(1895, 12, 28),
    "v_days": [date(2020, 1, 2)],
    "v_moment": datetime(2020, 1, 2, 3, 4, 5, 678901, UTC),
    "v_moments": [datetime(2020, 1, 2, tzinfo=UTC)],
    "v_fine": DateTime(2020, 1, 2, 3, 4, 0, 123456789, tzinfo=pytz.utc),
    "v_summer": BERLIN.localize(datetime(2020, 7, 2, 3, 4, 5)),
    "v_twice": BERLIN.localize(datetime(2020, 10, 25, 2, 30), is_dst=False),
    "v_clock": time(1, 2, 3),
    "v_span": Duration(months=1, days=-2, seconds=3, nanoseconds=4),
    "v_place": WGS84Point((13.4, 52.5)),
    "$date": "no date",
    "wild name `\"'": "x",
}
OFFSET = DateTime(2020, 1, 2, 3, 4, 5, 0, tzinfo=pytz.FixedOffset(-210))
LOCAL = DateTime(2020, 1, 2, 3, 4, 5, 0)

BUILD = """
CREATE (i:Item:Movie {item_id: '1 "\u00e9'}) SET i += $values
CREATE (j:Item:Movie:Film {item_id: '😀', title: 'Three labels'})
CREATE (u:User {user_id: 'ann', age: 3})
CREATE (v:User {user_id: '\uff5e'})
CREATE (e:Entity:Person {entity_id: 'Person:x', name: 'X', aliases: ['Y']})
CREATE (:Run {run_id: 'ingest-1', stage: 'ingest', started_at: $at, summary: '{"a": 1}'})
CREATE (:Retired {retired_id: 'r1', run_id: 'ingest-1', source: 's', kind: 'items', count: 1,
                  content: '[{"a": null}]', at: $at})
CREATE (i)-[:DIRECTED_BY {confidence: 0.5, source: 's', evidence: '"q"'}]->(e)
CREATE (e)-[:KNOWS]->(e)
CREATE (u)-[:FOLLOWS {since: $day}]->(v)
CREATE (i)-[:SUGGESTS {agent: 'a', weight: 0.5, model_id: 'm'}]->(j)
CREATE (i)-[:SUGGESTS {agent: 'a', weight: 0.5, model_id: 'm'}]->(j)
CREATE (i)-[:SUGGESTS {agent: 'b', weight: 0.25, model_id: 'm'}]->(j)
WITH u, i, j
UNWIND range(1, 40) AS n
CREATE (u)-[:INTERACTED {key: 'k' + n, kind: 'view', value: 1.0 * n, at: $at}]->(i)
CREATE (u)-[:INTERACTED {key: 'k' + n, kind: 'view', value: 1.0}]->(j)
"""


def cypher(store: GraphStore, text: str, **parameters: Any) -> list[Any]:
    """Run a statement by the driver itself, whose types the store does not let out."""
    address = store.address
    assert address.login is not None
    login = (address.login.user, address.login.password)
    with neo4j.GraphDatabase.driver(address.uri, auth=login) as driver:
        found = driver.execute_query(text, parameters, database_=address.database)
    return [tuple(record.values()) for record in found.records]


def canonical(store: GraphStore) -> tuple[Counter[str], Counter[str]]:
    """Return nodes and relations, read by other means than those under test."""
    nodes = cypher(store, "MATCH (n) WHERE NOT n:Revision RETURN labels(n), properties(n)")
    relations = cypher(
        store,
        "MATCH (a)-[r]->(b) RETURN labels(a), properties(a), type(r), properties(r), labels(b), "
        "properties(b)",
    )
    return (
        Counter(f"{sorted(labels)} {shown(properties)}" for labels, properties in nodes),
        Counter(
            f"{sorted(row[0])} {key_of(row[1])} {row[2]} {shown(row[3])} {sorted(row[4])} "
            f"{key_of(row[5])}"
            for row in relations
        ),
    )


def key_of(properties: dict[str, Any]) -> str:
    return str([properties.get(name) for name in ("item_id", "user_id", "entity_id")])


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return str([(name, shown(value[name])) for name in sorted(value)])
    if isinstance(value, list):
        return str([shown(one) for one in value])
    if isinstance(value, DateTime) and value.tzinfo is not None:
        zone = getattr(value.tzinfo, "zone", None) or str(value.utc_offset())
        return f"moment {value.as_timezone(pytz.utc).iso_format()} {zone}"
    return f"{type(value).__name__} {value!r}"


def build(store: GraphStore) -> None:
    clear_graph(store)
    given = {"values": VALUES, "at": datetime(2021, 5, 6, 7, 8, tzinfo=UTC)}
    cypher(store, BUILD, day=date(2020, 2, 29), **given)


def test_a_graph_moves_and_comes_back(
    store: GraphStore, graph: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "NODES_A_PAGE", 2)
    monkeypatch.setattr(exporting, "_NODES_A_PAGE", 1)
    monkeypatch.setattr(exporting, "_RELATIONS_A_PAGE", 7)
    monkeypatch.setattr(loading, "_RELATIONS_A_WRITE", 30)
    build(store)
    before = canonical(store)
    there = export_graph(store, tmp_path / "a.zip")
    clear_graph(store)
    done = import_graph(graph, tmp_path / "a.zip")
    assert canonical(graph) == before
    assert (done.nodes, done.relations) == (there.nodes, there.relations)
    assert there.nodes["Item"] == 2
    assert there.relations["INTERACTED"] == 80
    assert there.relations["SUGGESTS"] == 3  # two of them alike
    back = export_graph(graph, tmp_path / "b")
    assert back.content == there.content
    clear_graph(graph)
    import_graph(store, tmp_path / "b")
    assert canonical(store) == before
    clear_graph(store)


def test_times_of_other_zones_keep_their_moment(
    store: GraphStore, graph: GraphStore, tmp_path: Path
) -> None:
    """The embedded engine keeps no offset without a zone, a Neo4j does."""
    clear_graph(store)
    cypher(graph, "CREATE (:User {user_id: 'u', at: $at, local: $local})", at=OFFSET, local=LOCAL)
    before = cypher(graph, "MATCH (u:User) RETURN u.at, u.local")
    export_graph(graph, tmp_path / "a")
    lines = gzip.decompress((tmp_path / "a/nodes/User.jsonl.gz").read_bytes()).decode()
    if graph.info().engine == "neo4j":
        assert '"at":{"$datetime":"2020-01-02T03:04:05-03:30"}' in lines
        assert '"local":{"$datetime":"2020-01-02T03:04:05"}' in lines
    clear_graph(graph)
    for one in (graph, store):
        import_graph(one, tmp_path / "a", replace=True)
        [(at, local)] = cypher(one, "MATCH (u:User) RETURN u.at.epochSeconds, u.local")
        assert at == 1577946845
        assert local.replace(tzinfo=None) == LOCAL
        if one is graph:
            assert cypher(graph, "MATCH (u:User) RETURN u.at, u.local") == before
        clear_graph(one)


def test_what_is_served_is_the_same(store: GraphStore, graph: GraphStore, tmp_path: Path) -> None:
    clear_graph(store)
    live = planted(store, tmp_path / "models")
    users = [user_id(number) for number in range(0, 60, 7)]

    def lists(one: GraphStore) -> list[list[tuple[str, float]]]:
        recommender = Recommender(one, tmp_path / "models")
        found = [recommender.recommend(user, k=5) for user in users]
        return [[(item.item_id, item.score) for item in each.items] for each in found]

    before = lists(store)
    export_graph(store, tmp_path / "a.zip")
    clear_graph(store)
    done = import_graph(graph, tmp_path / "a.zip")
    assert done.live_model == live.model_id
    assert lists(graph) == before
    assert graph.dialect.vector_dimensions(graph, "vector_a") is not None
    nearest = Recommender(graph, tmp_path / "models").similar(item_id(3), k=3)
    assert len(nearest.items) == 3
    clear_graph(graph)


def small(store: GraphStore, folder: Path) -> Path:
    build(store)
    export_graph(store, folder / "dump")
    clear_graph(store)
    return folder / "dump"


def test_a_target_that_is_not_empty_is_refused(store: GraphStore, tmp_path: Path) -> None:
    dump = small(store, tmp_path)
    cypher(store, "CREATE (:User {user_id: 'mine'})")
    before = canonical(store)
    with pytest.raises(ConfigError, match=r"not empty.*1 User.*--replace"):
        import_graph(store, dump)
    assert canonical(store) == before
    import_graph(store, dump, replace=True)
    assert canonical(store)[0].total() == 7
    with pytest.raises(ConfigError, match="something at this path"):
        export_graph(store, dump)
    export_graph(store, dump, replace=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kept").touch()
    with pytest.raises(ConfigError, match="is no dump"):
        export_graph(store, tmp_path / "other", replace=True)
    with pytest.raises(ConfigError, match=r"ends in \.zip"):
        export_graph(store, tmp_path / "graph.tar.gz")
    clear_graph(store)


@pytest.mark.parametrize("where", ["dump", "dump.zip"])
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("cut", "User-INTERACTED-Item.jsonl.gz"),
        ("flip", "User-INTERACTED-Item.jsonl.gz"),
        ("gone", "User-INTERACTED-Item.jsonl.gz"),
        ("manifest", "manifest.json"),
        ("version", "version 9"),
        ("path", "no path of a dump"),
        ("line", "line 2 of nodes/User.jsonl.gz"),
        ("value", "line 2 of nodes/User.jsonl.gz: no form of a value"),
        ("rows", "has 2 lines for 3"),
    ],
)
def test_damage_is_named(
    store: GraphStore, tmp_path: Path, where: str, damage: str, named: str
) -> None:
    dump = small(store, tmp_path)
    file = dump / "relations" / "User-INTERACTED-Item.jsonl.gz"
    manifest = json.loads((dump / "manifest.json").read_text())
    whole = file.read_bytes()
    if damage == "cut":
        file.write_bytes(whole[:-9])
    elif damage == "flip":
        file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    elif damage == "gone":
        file.unlink()
    elif damage == "manifest":
        (dump / "manifest.json").write_text('{"format": "kgrec')
    elif damage in ("version", "path"):
        manifest["version"] = 9 if damage == "version" else 1
        manifest["files"][0]["path"] = "../../etc/passwd" if damage == "path" else "nodes/a"
        (dump / "manifest.json").write_text(json.dumps(manifest))
    else:
        second = {
            "line": b"[]\n",
            "value": b'{"labels":["User"],"properties":{"user_id":"x","a":{"$odd":1}}}\n',
            "rows": None,
        }[damage]
        rewrite(dump, manifest, "nodes/User.jsonl.gz", second)
    if where.endswith("zip"):
        dump = zipped(dump)
    with pytest.raises(DataError, match=named):
        import_graph(store, dump)
    if damage in ("line", "value", "rows"):  # an edited dump, whose digests fit
        with pytest.raises(GraphError, match="not finished"):
            check_whole(store)
    clear_graph(store)
    check_whole(store)


def rewrite(dump: Path, manifest: Any, name: str, second: bytes | None) -> None:
    """Change a line, or the count of lines, and make the digests fit."""
    path = dump / name
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    [about] = [one for one in manifest["files"] if one["path"] == name]
    if second is None:
        about["rows"] += 1
    else:
        path.write_bytes(gzip.compress(b"".join([lines[0], second])))
    about |= {
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    (dump / "manifest.json").write_text(json.dumps(manifest))


def zipped(dump: Path) -> Path:
    target = dump.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for path in dump.rglob("*.*"):
            archive.write(path, path.relative_to(dump))
    return target


def test_a_cut_archive_is_named(store: GraphStore, tmp_path: Path) -> None:
    dump = zipped(small(store, tmp_path))
    dump.write_bytes(dump.read_bytes()[:-30])
    with pytest.raises(DataError, match="archive cannot be opened"):
        import_graph(store, dump)
    with pytest.raises(DataError, match="no dump of a graph"):
        import_graph(store, tmp_path)


class Stopped(Exception):
    pass


def stopping_at(point: int, write: Any) -> Any:
    """Return writing that is stopped at its nth call, before it where n is odd, after it else."""
    calls = iter(range(1_000))

    def stopping(self: GraphStore, steps: Any) -> Any:
        number = next(calls)
        if number == point and point % 2:
            raise Stopped
        answer = write(self, steps)
        if number == point:
            raise Stopped
        return answer

    return stopping


def test_a_load_that_is_stopped_anywhere_goes_on(
    graph: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before and after each of its writes in turn; half a graph is known as one."""
    monkeypatch.setattr(loading, "_NODES_A_WRITE", 1)
    monkeypatch.setattr(loading, "_RELATIONS_A_WRITE", 10)
    build(graph)
    before = canonical(graph)
    export_graph(graph, tmp_path / "a")
    movies = load_schema().domain("movies")
    whole_only: list[Callable[[GraphStore], object]] = [
        *(check_whole, ensure_schema, read_dataset, restore, sweep),
        lambda store: extract(store, movies),
        lambda store: Folder(store, tmp_path).run(),
        lambda store: publish(store, cast(Any, None), "none"),
        lambda store: roll_back(store, tmp_path),
    ]
    write, resumed = GraphStore.write_all, None
    for point in range(200):
        stopping = stopping_at(point, write)
        monkeypatch.setattr(GraphStore, "write_all", stopping)
        try:
            resumed = import_graph(graph, tmp_path / "a", replace=point < 3).resumed
        except Stopped:
            monkeypatch.setattr(GraphStore, "write_all", write)
            if unfinished_import(graph) is None:
                assert canonical(graph) == before  # as it was, or whole
                if point < 3:
                    continue
                break
            for refused in whole_only:
                with pytest.raises(GraphError, match="not finished"):
                    refused(graph)
            with pytest.raises(GraphError, match="not finished"):
                export_graph(graph, tmp_path / "half")
            assert not (tmp_path / "half").exists()
            assert not cypher(graph, "MATCH (m:Model) RETURN m")
            monkeypatch.setattr(GraphStore, "write_all", stopping)
            continue
        break
    monkeypatch.setattr(GraphStore, "write_all", write)
    assert point > 8
    assert resumed is None or resumed > 0
    assert canonical(graph) == before
    with Dump(tmp_path / "a") as dump:
        assert sum(dump.manifest.nodes.values()) == before[0].total()


def test_another_dump_does_not_go_on(store: GraphStore, tmp_path: Path) -> None:
    first = small(store, tmp_path)
    build(store)
    cypher(store, "CREATE (:User {user_id: 'more'})")
    export_graph(store, tmp_path / "second")
    clear_graph(store)
    with Dump(first) as dump:
        store.write("dump/set_import_state", name="import", done=0, dump=dump.digest)
    with pytest.raises(ConfigError, match="part of another dump"):
        import_graph(store, tmp_path / "second")
    assert import_graph(store, tmp_path / "second", replace=True).nodes["User"] == 3
    clear_graph(store)


def test_what_is_not_of_kgrec_is_left_out_and_counted(store: GraphStore, tmp_path: Path) -> None:
    build(store)
    try:
        cypher(
            store,
            "MATCH (u:User {user_id: 'ann'}) "
            "CREATE (u)-[:KNOWS]->(:Foreign {a: 1}) CREATE (:User {name: 'without a key'})",
        )
        done = export_graph(store, tmp_path / "a")
        assert done.left_out == {
            "User nodes without user_id": 1,
            "relations to nodes that are not of kgrec": 1,
        }
        cypher(store, "CREATE (:User:Item {user_id: 'both', item_id: 'both'})")
        with pytest.raises(DataError, match="labels of two kinds"):
            export_graph(store, tmp_path / "b")
        assert not list(tmp_path.glob("b*"))
    finally:
        cypher(store, "MATCH (n:Foreign) DETACH DELETE n")
        clear_graph(store)


def test_a_graph_that_changes_is_not_exported(
    store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(store)
    read = GraphStore.read_exactly

    def changing(self: GraphStore, statement: str, *slots: Any, **given: Any) -> Any:
        if statement == "dump/relations":
            cypher(store, "MERGE (:User {user_id: 'late'})")
        return read(self, statement, *slots, **given)

    monkeypatch.setattr(GraphStore, "read_exactly", changing)
    with pytest.raises(KGRecError, match="changed while"):
        export_graph(store, tmp_path / "a")
    assert not list(tmp_path.iterdir())
    clear_graph(store)
