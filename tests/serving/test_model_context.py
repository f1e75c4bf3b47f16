"""`kgrec mcp`, tried with the reference client of the Model Context Protocol."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from planted import item_id, user_id

from kgrec.graph.store import GraphStore
from kgrec.model.team import Team

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from mcp import ClientSession, StdioServerParameters, stdio_client

USER = user_id(1)


def talk(home: Path, conversation: Callable[[ClientSession], Awaitable[Any]]) -> Any:
    """Start the command as a client does, and hold a conversation with it."""

    async def run() -> Any:
        command = StdioServerParameters(
            command=sys.executable,
            args=["-m", "kgrec", "mcp"],
            env={**os.environ, "KGREC_HOME": str(home)},
        )
        async with stdio_client(command) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            return await conversation(session)

    return asyncio.run(run())


async def call(session: ClientSession, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await session.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    found: dict[str, Any] = answer.structured_content
    return found.get("result", found) if set(found) == {"result"} else found


async def fails(session: ClientSession, tool: str, **arguments: Any) -> str:
    answer = await session.call_tool(tool, arguments)
    assert answer.is_error
    return str(answer.content[0].text)


def test_a_client_uses_every_tool(team: Team, home: Path, store: GraphStore) -> None:
    async def conversation(session: ClientSession) -> None:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"recommend", "explain", "search", "query"}
        assert all(tool.description and tool.annotations.read_only_hint for tool in tools.values())
        found = await call(session, "recommend", user_id=USER, k=3)
        best = found["items"][0]
        assert best["reasons"]
        explained = await call(
            session,
            "explain",
            user_id=USER,
            item_id=best["item_id"],
            request_id=found["request_id"],
        )
        assert explained["score"] == pytest.approx(best["score"])
        visitor = await call(session, "recommend", history=[item_id(2), item_id(6)], k=2)
        assert len(visitor["items"]) == 2
        items = await call(session, "search", words="film 042")
        assert items["items"][0]["item_id"] == item_id(42)
        genre = await call(session, "search", words="comedy", kind="entity")
        named = await call(session, "query")
        assert "items_of_entity" in {query["name"] for query in named["queries"]}
        entity = genre["items"][0]["entity_id"]
        rows = await call(
            session, "query", name="items_of_entity", parameters={"entity_id": entity}, rows=2
        )
        assert (len(rows["rows"]), rows["cut"]) == (2, "rows")
        count = await call(session, "query", statement="MATCH (i:Item) RETURN count(i) AS n")
        assert count["rows"][0]["n"] == len(team.items)
        assert "only read" in await fails(session, "query", statement="MATCH (n) DETACH DELETE n")
        assert "no such item" in await fails(session, "explain", user_id=USER, item_id="nothing")
        assert "user_id" in await fails(session, "recommend")
        assert await fails(session, "recommend", user_id=USER, k=1000)

    before = store.query("MATCH (n) RETURN count(n) AS n").rows
    talk(home, conversation)
    assert store.query("MATCH (n) RETURN count(n) AS n").rows == before


def test_without_the_sdk_the_command_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "mcp.py").write_text("raise ModuleNotFoundError(name='mcp')", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "kgrec", "mcp"],
        env={
            **os.environ,
            "KGREC_HOME": str(tmp_path),
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'kgrec[mcp]'" in done.stderr
