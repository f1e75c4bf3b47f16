"""A server on loopback with the chat-completions protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ChatServer:
    """Answers with `answer(body)`, as JSON or as bytes one after another; first with `failures`.

    Attributes:
        requests: bodies, in order.
        keys: `Authorization` of each.
        failures: status codes with headers.
    """

    url: str
    answer: Callable[[dict[str, Any]], Any]
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)


def reply(text: str) -> dict[str, Any]:
    """Return an answer of the protocol."""
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


@contextmanager
def chat_server(answer: Callable[[dict[str, Any]], Any]) -> Iterator[ChatServer]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.requests.append(body)
            served.keys.append(self.headers["Authorization"])
            status, headers = served.failures.pop(0) if served.failures else (200, {})
            found = self.path == "/v1/chat/completions"
            given = answer(body) if status == 200 else {}
            parts = given if isinstance(given, Iterator) else iter([json.dumps(given).encode()])
            self.send_response(status if found else 404)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            with suppress(OSError):  # the client may have left
                for part in parts:
                    self.wfile.write(part)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = ChatServer(f"http://127.0.0.1:{server.server_address[1]}/v1", answer)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
