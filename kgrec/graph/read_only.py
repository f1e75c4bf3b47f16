"""What proves that a caller's statement only reads, before it runs.

Neo4j compiles the statement without running it (EXPLAIN) and reports its type and what its
plan consists of. A plan of type `r` may still read files, end other transactions or call procedures
that act on the server, so those parts of a plan are refused as well. The embedded engine judges
statements by their parse tree at an endpoint that is for reading alone; there the statement is put
into `admin/prove_read_only`, which no row reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kgrec.errors import GraphReadOnlyError, GraphStatementError
from kgrec.schema import load_schema

if TYPE_CHECKING:
    import neo4j

MAX_STATEMENT = 10_000
"""Characters; planning a longer one can take minutes, which no limit of time ends."""

READING_PROCEDURES = frozenset(
    {
        "db.index.fulltext.queryNodes",
        "db.index.fulltext.queryRelationships",
        "db.index.vector.queryNodes",
        "db.index.vector.queryRelationships",
        "db.labels",
        "db.propertyKeys",
        "db.relationshipTypes",
        "db.schema.nodeTypeProperties",
        "db.schema.relTypeProperties",
        "db.schema.visualization",
    }
)
"""Procedures that read the graph and do nothing else; `READ` of Neo4j holds others as well."""

_SLOT = "__STATEMENT__"
_LINE = re.compile(r"\bline (\d+)")
_READS = "r"
_CALL = "ProcedureCall"
# Subqueries within expressions are no operators of their own: the plan holds them as text.
_NESTED_CALL = re.compile(r"(?:\bCALL\s+|ResolvedCall\()`?([A-Za-z_][\w.`]*)", re.IGNORECASE)
_NESTED_FILE = re.compile(r"LOAD\s*CSV", re.IGNORECASE)
_NESTED_TRANSACTION = re.compile(r"\bIN\s+(?:\S+\s+)?(?:CONCURRENT\s+)?TRANSACTIONS\b", re.I)


@dataclass(frozen=True)
class Plan:
    """What the engine reports of a statement that it compiled and did not run.

    Attributes:
        query_type: `r`, `rw`, `w` or `s` (schema and administration).
        operators: name and details of each part of the plan, nested ones included.
    """

    query_type: str | None
    operators: tuple[tuple[str, str], ...]


def bare(statement: str) -> str:
    """Return a statement without the semicolon at its end.

    Raises:
        GraphStatementError: it is empty or too long.
    """
    text = statement.strip().rstrip("; \t\r\n")
    if not text:
        raise GraphStatementError("there is no statement to run", remedy="Send one of Cypher.")
    if len(text) > MAX_STATEMENT:
        raise GraphStatementError(
            f"the statement is longer than {MAX_STATEMENT} characters",
            value=f"{len(text)} characters",
            remedy="Send long lists as parameters.",
        )
    return text


def unreached(statement: str) -> str:
    """Return a statement of the embedded engine that holds another one and does not run it."""
    return load_schema().statement("admin/prove_read_only").body.replace(_SLOT, statement)


def placed(message: str) -> str:
    """Return a message of the engine on `unreached(statement)`, with the lines of the statement."""
    before = unreached("\0").partition("\0")[0].count("\n")
    return _LINE.sub(lambda found: f"line {max(1, int(found[1]) - before)}", message)


def explained(transaction: neo4j.Transaction, cypher: str, parameters: Mapping[str, Any]) -> Plan:
    """Compile a statement in a transaction, without running it."""
    summary = transaction.run(f"EXPLAIN {cypher}", dict(parameters)).consume()
    return plan_of(summary.query_type, summary.plan)


def plan_of(query_type: str | None, tree: Mapping[str, Any] | None) -> Plan:
    """Return the parts of a plan, as the driver has it, in one list."""
    return Plan(query_type, tuple(_operators([tree] if tree else [])))


def check_plan(plan: Plan) -> None:
    """Refuse a plan that does anything but read the graph; raises GraphReadOnlyError."""
    if plan.query_type != _READS or not plan.operators:
        raise refused("it writes, or changes definitions or the server", plan.query_type)
    for operator, details in plan.operators:
        why = _not_reading(operator, details)
        if why:
            raise refused(why, operator)


def refused(why: str, value: object = None) -> GraphReadOnlyError:
    """Return the error for a statement that does something else than read the graph."""
    return GraphReadOnlyError(f"the statement does not only read the graph: {why}", value=value)


def _operators(trees: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    waiting = list(trees)
    while waiting:
        part = waiting.pop()
        name = str(part["operatorType"]).partition("@")[0]
        yield name, str(part.get("args", {}).get("Details", ""))
        waiting += part.get("children", ())


def _not_reading(operator: str, details: str) -> str | None:
    if operator == "LoadCSV" or _NESTED_FILE.search(details):
        return "it reads files or addresses"
    if operator.startswith(("Show", "Terminate")):
        return "it is a command to the server"
    if operator.startswith("Transaction") or _NESTED_TRANSACTION.search(details):
        return "it makes transactions of its own"
    called = [found.replace("`", "") for found in _NESTED_CALL.findall(details)]
    if operator == _CALL:
        called.append(details.partition("(")[0].replace("`", "").strip())
    unknown = [name for name in called if name not in READING_PROCEDURES]
    return f"it calls {unknown[0]}" if unknown else None
