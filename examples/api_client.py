"""Talk to a running `kgrec serve` with nothing but the standard library.

    kgrec serve &
    python examples/api_client.py            # somebody of the graph
    python examples/api_client.py 42 --like 50

It prints what is recommended to a user and why the first of it is; with `--like` it sends
feedback first. A key goes into KGREC_API_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class Client:
    """The API of one server."""

    def __init__(self, address: str, key: str | None = None) -> None:
        self.address = address.rstrip("/")
        self.headers = {"Accept": "application/json"}
        if key:
            self.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str, **query: Any) -> Any:
        parameters = urllib.parse.urlencode(query, doseq=True)
        return self._send("GET", f"{path}?{parameters}" if parameters else path)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None = None) -> Any:
        headers = {**self.headers, **({"Content-Type": "application/json"} if body else {})}
        request = urllib.request.Request(self.address + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("user", nargs="?", help="id of a user; the first of the graph when absent")
    parser.add_argument("--like", metavar="ITEM", help="first tell that the user likes this item")
    parser.add_argument("--address", default="http://127.0.0.1:8000")
    options = parser.parse_args()
    client = Client(options.address, os.environ.get("KGREC_API_KEY"))
    try:
        show(client, options.user, options.like)
    except urllib.error.HTTPError as error:
        with error:
            problem = json.load(error)
        print(f"{problem['detail']}. {problem['remedy']}", file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"no server at {options.address}: {error.reason}", file=sys.stderr)
        return 1
    return 0


def show(client: Client, user: str | None, like: str | None) -> None:
    """Print recommendations and the reason for the first."""
    user = user or client.get("/v1/users", limit=1)["items"][0]["user_id"]
    name = urllib.parse.quote(user, safe="")
    if like:
        client.post("/v1/feedback", {"user_id": user, "item_id": like, "kind": "like"})
    found = client.get(f"/v1/users/{name}/recommendations", k=5)
    personal = "" if found["fallback"] is None else f" (not personal: {found['fallback']})"
    print(f"For user {user}{personal}:")
    for item in found["items"]:
        print(f"{item['rank']:>3}. {item['title']}  {item['score']:.3f}")
    if found["fallback"] is None and found["items"]:
        best = urllib.parse.quote(found["items"][0]["item_id"], safe="")
        told = client.get(f"/v1/users/{name}/recommendations/{best}/explanation")
        print("\nWhy the first:")
        for words in told["words"]:
            print(f"  {words}")


if __name__ == "__main__":
    raise SystemExit(main())
