"""What a caller's statement may do where it must only read, on every engine."""

from __future__ import annotations

import pytest
from read_only_corpus import ELSE, PARAMETERS, READS, WRITES

from kgrec.errors import GraphReadOnlyError, GraphStatementError, GraphTimeoutError
from kgrec.graph.answers import QueryResult
from kgrec.graph.read_only import Plan, check_plan
from kgrec.graph.store import GraphStore

_CONTENT = (
    "MATCH (n) OPTIONAL MATCH (n)-[r]->(m)"
    " RETURN labels(n) AS labels, properties(n) AS n, type(r) AS r, m.item_id AS m"
    " ORDER BY n.item_id"
)


@pytest.fixture
def filled(graph: GraphStore) -> GraphStore:
    graph.query(
        "CREATE (:Item {item_id: 'a', title: 'one'})-[:NEAR]->(:Item {item_id: 'b', title: 'two'})",
        writing=True,
    )
    return graph


def ask(graph: GraphStore, statement: str) -> QueryResult:
    return graph.query(statement, PARAMETERS, limit=50, timeout=10, proven=True)


def content(graph: GraphStore) -> object:
    definitions = [
        graph.query(f"SHOW {what} YIELD name RETURN name ORDER BY name").rows
        for what in ("INDEXES", "CONSTRAINTS")
    ]
    types = graph.query("CALL db.labels() YIELD label RETURN label ORDER BY label").rows
    return graph.query(_CONTENT).rows, definitions, types


def test_what_only_reads_is_run(filled: GraphStore) -> None:
    for name, statement in READS.items():
        assert ask(filled, statement).rows, name


def test_what_writes_is_refused_and_leaves_no_trace(filled: GraphStore) -> None:
    before = content(filled)
    for name, statement in WRITES.items():
        with pytest.raises((GraphReadOnlyError, GraphStatementError)):
            pytest.fail(f"{name} was run: {ask(filled, statement)}")
    assert content(filled) == before


def test_what_is_no_reading_of_the_graph_is_refused(filled: GraphStore) -> None:
    before = content(filled)
    for name, statement in ELSE.items():
        with pytest.raises((GraphReadOnlyError, GraphStatementError)):
            pytest.fail(f"{name} was run: {ask(filled, statement)}")
    assert content(filled) == before


def test_a_plain_write_is_named_as_such(filled: GraphStore) -> None:
    with pytest.raises(GraphReadOnlyError, match="does not only read the graph: it writes"):
        ask(filled, "MATCH (n) DETACH DELETE n")
    with pytest.raises(GraphStatementError, match="line 2"):
        ask(filled, "MATCH (n)\nRETRUN n")
    with pytest.raises(GraphStatementError, match="missing"):
        ask(filled, "RETURN $missing AS x")
    with pytest.raises(GraphStatementError, match="longer than"):
        ask(filled, f"RETURN '{'x' * 20_000}' AS x")


def test_rows_bytes_and_time_are_bounded(filled: GraphStore) -> None:
    rows = filled.query("UNWIND range(1, 10) AS x RETURN x", limit=3, proven=True)
    assert ([row["x"] for row in rows.rows], rows.cut) == ([1, 2, 3], "rows")
    long = "UNWIND range(1, 10) AS x RETURN 'a long text, ' + x AS text"
    text = filled.query(long, max_bytes=100, proven=True)
    assert (len(text.rows), text.cut, text.truncated) == (3, "bytes", True)
    assert filled.query(long, max_bytes=1000, proven=True).cut is None
    with pytest.raises(GraphTimeoutError):
        filled.query(
            "UNWIND range(1, 1000000) AS x UNWIND range(1, 1000) AS y RETURN sum(x * y) AS s",
            timeout=0.5,
            proven=True,
        )


@pytest.mark.parametrize(
    ("kind", "operator", "details"),
    [
        ("w", "Create", ""),
        ("rw", "ProduceResults", ""),
        ("s", "CreateIndex", ""),
        (None, "ProduceResults", ""),
        ("r", "LoadCSV", "row"),
        ("r", "TransactionApply", ""),
        ("r", "TerminateTransactions", ""),
        ("r", "ProcedureCall", "db.stats.clear($a) :: (section :: STRING)"),
        ("r", "ProcedureCall", "`apoc`.`load`.json($a) :: (value :: MAP)"),
        ("r", "Projection", "[x IN $a | COLLECT {   CALL `db`.stats.clear($a) }] AS v"),
        ("r", "Projection", "[x IN $a | COLLECT { CALL (x) { RETURN 1 } IN 2 TRANSACTIONS }]"),
        ("r", "Projection", "COLLECT { LoadCSV(false, ) }"),
    ],
)
def test_a_plan_that_does_more_is_refused(kind: str, operator: str, details: str) -> None:
    check_plan(Plan("r", (("ProcedureCall", "db.labels() :: (label :: STRING)"),)))
    with pytest.raises(GraphReadOnlyError):
        check_plan(Plan(kind, ((operator, details),)))
