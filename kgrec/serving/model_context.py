"""A server of the Model Context Protocol: recommendations and the graph as tools of a model.

Built with the protocol's Python SDK (extra `mcp`). A tool answers with the record that the HTTP API
has for the same call; what fails is a tool error that names the remedy. No tool writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field, JsonValue, ValidationError

from kgrec.errors import KGRecError
from kgrec.serving.catalogue import find_items
from kgrec.serving.config import MAX_K, MAX_PAGE
from kgrec.serving.cypher import answer_of
from kgrec.serving.entities import find_entities
from kgrec.serving.graph_answers import StatementLimits, StatementRequest
from kgrec.serving.queries import named_queries, statement_of
from kgrec.serving.service import Engine, Service
from kgrec.version import __version__

_INSTRUCTIONS = """Recommendations from a knowledge graph, each with the reasons for it. Items and
entities are found by `search`; ids from there are what the other tools take."""
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

K = Annotated[int, Field(ge=1, le=MAX_K, description="How many.")]
UserArgument = Annotated[str | None, Field(description="Id of a user of the graph.")]
HistoryArgument = Annotated[
    list[str] | None,
    Field(description="Ids of items, the newest first, in place of a user's history."),
]


def create_server(service: Service) -> MCPServer:
    """Return the server with its tools; `run()` serves standard input and output.

    Args:
        service: opens the graph and the live model at the first call.
    """
    server = MCPServer("kgrec", instructions=_INSTRUCTIONS, version=__version__, log_level="ERROR")
    for tool in _Tools(service).all():
        server.tool(annotations=_READS)(tool)
    return server


class _Tools:
    def __init__(self, service: Service) -> None:
        self._service = service

    def all(self) -> tuple[Callable[..., Any], ...]:
        return (self.recommend, self.explain, self.search, self.query)

    def recommend(
        self,
        user_id: UserArgument = None,
        history: HistoryArgument = None,
        k: K = 10,
        filters: Annotated[
            list[str] | None,
            Field(description="`KEY=VALUE` or `KEY>=NUMBER`, of properties and relations."),
        ] = None,
    ) -> dict[str, Any]:
        """Recommend items to a user, or to anybody with a history, with reasons and scores."""
        with self._engine() as engine:
            if history is not None:
                found = engine.recommender.recommend_for(history, k, filters=filters or ())
            else:
                found = engine.recommender.recommend(_given(user_id), k, filters=filters or ())
            return _plain(found)

    def explain(
        self,
        item_id: Annotated[str, Field(description="A recommended item.")],
        user_id: UserArgument = None,
        history: HistoryArgument = None,
        request_id: Annotated[
            str | None, Field(description="That of the list which showed the item.")
        ] = None,
        counterfactual: Annotated[
            bool, Field(description="Whether to search for the history items that decide.")
        ] = False,
    ) -> dict[str, Any]:
        """Explain a recommendation: contributions that sum to the score, and paths in the graph."""
        with self._engine() as engine:
            if history is not None:
                explained = engine.explainer.explain_for(
                    history, item_id, request_id, counterfactual=counterfactual
                )
            else:
                explained = engine.explainer.explain(
                    _given(user_id), item_id, request_id, counterfactual=counterfactual
                )
            return _plain(explained)

    def search(
        self,
        words: Annotated[str, Field(max_length=200, description="Of a title or a name.")],
        kind: Literal["item", "entity"] = "item",
        limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 10,
    ) -> dict[str, Any]:
        """Find items by words of their titles, or entities by words of their names."""
        with self._engine() as engine:
            if kind == "entity":
                return _plain(find_entities(engine, words, "", limit, None))
            return _plain(find_items(engine, words, limit, None))

    def query(
        self,
        statement: Annotated[
            str | None, Field(description="Cypher that only reads, in place of a name.")
        ] = None,
        name: Annotated[
            str | None, Field(description="A named query; without either, they are listed.")
        ] = None,
        parameters: Annotated[
            dict[str, JsonValue] | None, Field(description="Values for its $parameters.")
        ] = None,
        rows: Annotated[int, Field(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Run a named query, or Cypher of your own that the database proves to only read."""
        if statement is None and name is None:
            return {"queries": [_plain(one) for one in named_queries().values()]}
        with self._engine() as engine:
            given = parameters or {}
            if name is not None:
                text, given = statement_of(name, given)
            else:
                text = str(statement)
            request = StatementRequest(
                statement=text, parameters=given, limits=StatementLimits(rows=rows)
            )
            found = answer_of(engine.store, request.statement, request.parameters, request.limits)
            return _plain(found)

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        try:
            with self._service.lease() as engine:
                yield engine
        except KGRecError as error:
            raise ToolError(str(error)) from error
        except ValidationError as error:
            raise ToolError(str(error.errors()[0]["msg"])) from error


def _given(user_id: str | None) -> str:
    if user_id is None:
        raise ToolError("Send a user_id, or a history of item ids.")
    return user_id


def _plain(record: BaseModel) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude_none=True)
