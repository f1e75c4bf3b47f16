"""Every string that the API accepts, found in its own description of itself (OpenAPI).

A parameter or a field that comes to the API is found here without a change of the tests.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

Place = tuple[str | int, ...]
ANY_NAME = "*"
"""A place in a map: the text stands as the key, and as the value."""
_DEEPEST = 6


@dataclass(frozen=True)
class Slot:
    """A string of a request.

    Attributes:
        method, path: of the operation, with the names of its path parameters in braces.
        where: path, query, header, body or lines.
        place: name of the parameter, or where the string stands in the body.
    """

    method: str
    path: str
    where: str
    place: Place

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.where} {'.'.join(map(str, self.place))}"


@dataclass(frozen=True)
class Described:
    """The description, and what a request holds beside the text.

    Attributes:
        document: openapi.json.
        usual: values by name of parameter or field, for operations that read.
        scratch: the same for operations that write; what they name may be changed and removed.
        rows: schemas of bodies that the description leaves open, by path.
    """

    document: Mapping[str, Any]
    usual: Mapping[str, Any]
    scratch: Mapping[str, Any]
    rows: Mapping[str, Any]

    def slots(self) -> Iterator[Slot]:
        """Yield every string of every operation."""
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                for one in operation.get("parameters", []):
                    if any(place in ((), (0,)) for place in self._strings(one["schema"])):
                        yield Slot(method, path, one["in"], (one["name"],))
                for kind in operation.get("requestBody", {}).get("content", {}):
                    where = "body" if kind == "application/json" else "lines"
                    for place in dict.fromkeys(self._strings(self._body(path, method))):
                        yield Slot(method, path, where, place)

    def reads(self, slot: Slot) -> bool:
        """Tell whether an operation only reads the graph."""
        operation = self.document["paths"][slot.path][slot.method]
        return slot.method == "get" or operation["operationId"] in _READ

    def send(self, api: httpx.Client, slot: Slot, text: str) -> httpx.Response:
        """Send a request with a text at a place, and values of use everywhere else."""
        operation, reads = self.document["paths"][slot.path][slot.method], self.reads(slot)
        values = dict(self.usual if reads else self.scratch)
        given = operation.get("parameters", [])
        query = {
            each["name"]: values[each["name"]]
            for each in given
            if each["in"] == "query" and each["required"]
        }
        headers = {}
        if slot.where == "path":
            values[str(slot.place[0])] = text
        elif slot.where == "query":
            query[str(slot.place[0])] = text
        elif slot.where == "header":
            headers[str(slot.place[0])] = text.encode("ascii", "replace").decode()
        path = slot.path
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        content = None
        if "requestBody" in operation:
            body = self._example(slot, operation, values)
            if slot.where in ("body", "lines"):
                body = _with(body, slot.place, text)
            headers["Content-Type"] = "application/json"
            content = json.dumps(body)
            if slot.where == "lines":
                headers["Content-Type"] = "application/x-ndjson"
                rows = body if isinstance(body, list) else [body]
                content = "".join(json.dumps(row) + "\n" for row in rows)
        return api.request(slot.method, path, params=query, headers=headers, content=content)

    def _example(self, slot: Slot, operation: Any, values: Mapping[str, Any]) -> Any:
        example = copy.deepcopy(operation["requestBody"]["content"]["application/json"]["example"])
        for row in example if isinstance(example, list) else [example]:
            row.update({name: values[name] for name in row.keys() & values.keys()})
        return example

    def _body(self, path: str, method: str) -> Any:
        if path in self.rows:
            return self.rows[path]
        content = self.document["paths"][path][method]["requestBody"]["content"]
        return content["application/json"]["schema"]

    def _strings(self, schema: Any, depth: int = 0) -> Iterator[Place]:
        """Yield the places of the strings of a schema."""
        if depth > _DEEPEST:
            return
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        for one in (each for kind in _MIXED for each in schema.get(kind, ())):
            yield from self._strings(one, depth + 1)
        kind = schema.get("type")
        if kind == "string" or not (kind or any(each in schema for each in _MIXED)):
            yield ()
        for name, one in schema.get("properties", {}).items():
            yield from ((name, *rest) for rest in self._strings(one, depth + 1))
        if kind == "object" and schema.get("additionalProperties"):
            yield (ANY_NAME,)
        if kind == "array":
            yield from ((0, *rest) for rest in self._strings(schema["items"], depth + 1))


_MIXED = ("anyOf", "oneOf", "allOf")
_READ = {"recommend_for", "explain_for", "run_statement", "run_query"}


def _with(body: Any, place: Place, text: str) -> Any:
    """Return a body with a text at a place; what leads there is made."""
    if not place:
        return text
    step, *rest = place
    if step == ANY_NAME:
        return {**(body if isinstance(body, dict) else {}), text: text}
    if isinstance(step, int):
        rows = body if isinstance(body, list) and body else [body]
        return [_with(rows[0], tuple(rest), text), *rows[1:]]
    known = body if isinstance(body, dict) else {}
    return {**known, step: _with(known.get(step), tuple(rest), text)}
