"""Examples in the description of the API: of every parameter, body and answer.

They are made from the schemas: an example that a field names itself comes first, then a value by
the name of the field, then its default, then any value of its type. So an example holds every field
of what it is an example of, and a new endpoint has one from the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kgrec.data.records import entity_id
from kgrec.schema import Domain
from kgrec.serving.problems import MEDIA_TYPE

_DEEPEST = 8
_JSON = "application/json"

_VALUES: Mapping[str, Any] = {
    "active": True,
    "agent": "linear",
    "agents": {"linear": 0.6, "semantic": 0.4},
    "at": "2026-05-01T12:00:00Z",
    "because": True,
    "changed": [],
    "confidence": 0.9,
    "contribution": 0.41,
    "contributions": {"linear": 0.53, "semantic": 0.3},
    "created_at": "2026-05-01T12:00:00Z",
    "cursor": "WyI1MCJd",
    "degree": 6,
    "diversity": 0.2,
    "entity": "George Lucas",
    "entity_id": "person:george-lucas",
    "entity_type": "Person",
    "evidence": "directed by George Lucas",
    "fallback": None,
    "filter": ["genre=Comedy", "year>=1990"],
    "filters": ["genre=Comedy", "year>=1990"],
    "hops": 2,
    "id": "person:george-lucas",
    "item_id": "50",
    "k": 5,
    "kind": "item",
    "label": "Movie",
    "limit": 20,
    "meaning": "{item} was directed by {entity}",
    "milliseconds": 4.2,
    "model_id": "5c1f0a9b7d2e",
    "name": "George Lucas",
    "next": "WyI1MCJd",
    "q": "star",
    "rank": 1,
    "relation": "DIRECTED_BY",
    "relations": ["DIRECTED_BY"],
    "request_id": "eyJtIjoiNWMxZjBhOWI3ZDJlIn0",
    "score": 0.83,
    "share": 0.49,
    "source": "text",
    "summary": "Recommended because of Star Wars (1977), by the same director.",
    "title": "Star Wars (1977)",
    "type": "Person",
    "user_id": "42",
    "value": 5.0,
    "vocabulary_hash": "9f86d081884c7d65",
    "weight": 0.7,
    "withdrawn": 1,
    "words": "directed by George Lucas, as Star Wars (1977) is",
}
_OF_PROBLEMS: Mapping[str, tuple[str, str]] = {
    # status: what failed, the remedy
    "400": ("the filter cannot be read", "Write property=value."),
    "401": ("the request carries no key", "Send `Authorization: Bearer KEY` or `X-API-Key: KEY`."),
    "403": ("the key does not allow this", "Use a key of the role analyst."),
    "404": ("there is no such item", "GET /v1/items?q= finds items by title."),
    "413": ("the body of the request is longer than 262144 bytes", "Send less at once."),
    "415": ("the body of a request must be JSON", "Send it with Content-Type: application/json."),
    "422": ("the request does not have the right form", "Mend what `errors` names."),
    "429": ("the key was used too often", "Wait for as long as Retry-After names."),
    "503": ("the graph database does not answer", "Try again in a moment."),
    "504": ("the answer took too long", "Ask for less, or try again."),
}


def add_examples(described: dict[str, Any], domain: Domain | None = None) -> None:
    """Add an example to each parameter, body and answer of an OpenAPI document that has none.

    Args:
        domain: what the examples are of; films where it is absent or has no examples.
    """
    schemas = described.get("components", {}).get("schemas", {})
    for operation in _operations(described):
        for parameter in operation.get("parameters", ()):
            if "example" not in parameter:
                parameter["example"] = _example(parameter["schema"], parameter["name"], schemas, 0)
        _fill(operation.get("requestBody", {}), schemas)
        for status, answer in operation["responses"].items():
            _fill(answer, schemas)
            problem = answer.get("content", {}).get(MEDIA_TYPE)
            if problem is not None:
                problem["example"] = _problem(status, problem.get("example", {}))

    if domain is not None and domain.examples:
        _put_in_words_of(domain, described)


def _put_in_words_of(domain: Domain, described: dict[str, Any]) -> None:
    """Exchange the films of the examples for what a domain names in their place."""
    known = domain.examples
    relation = domain.relations[known["relation"]]
    title, name, kind = known["title"], known["entity"], known["entity_type"]
    stated = relation.sentence(title, name)
    filters = known["filter"]
    column = relation.columns[0] if relation.columns else known["relation"].lower()
    exchanged = {
        "Star Wars (1977)": title,
        "George Lucas": name,
        "person:george-lucas": entity_id(kind, name),
        "DIRECTED_BY": known["relation"],
        "Person": kind,
        "Movie": domain.item_label,
        "genre=Comedy": filters[0],
        "year>=1990": filters[-1],
        "star": title.split()[-1].lower(),
        "directed by George Lucas": stated,
        "directed by George Lucas, as Star Wars (1977) is": stated,
        "{item} was directed by {entity}": relation.meaning.rstrip("."),
        "Recommended because of Star Wars (1977), by the same director.": stated,
        "Aftersun": title,
        "year": None,
        "genres": None,
        "director": column,
        "Charlotte Wells": name,
    }
    described |= _exchange(described, exchanged, inside=False)


def _exchange(part: Any, table: Mapping[str, str | None], *, inside: bool) -> Any:
    """Return a part of the description with strings, and keys, of its examples exchanged."""
    if isinstance(part, str):
        return (table.get(part) or part) if inside else part
    if isinstance(part, list):
        return [_exchange(one, table, inside=inside) for one in part]
    if not isinstance(part, dict):
        return part
    new = inside and "Aftersun" in part.values()
    found: dict[str, Any] = {}
    for key, value in part.items():
        name = table.get(key, key) if new and key != "title" else key
        if name is not None:
            held = inside or key in ("example", "examples")
            found[name] = _exchange(value, table, inside=held)
    return found


def _operations(described: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in described["paths"].values():
        yield from path.values()


def _fill(part: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    for media in part.get("content", {}).values():
        if "schema" in media and "example" not in media:
            media["example"] = _example(media["schema"], "", schemas, 0)


def _problem(status: str, example: Mapping[str, Any]) -> dict[str, Any]:
    what, remedy = _OF_PROBLEMS.get(status, ("the request failed", ""))
    kept = {name: example[name] for name in ("type", "title", "instance") if name in example}
    return {
        **kept,
        "type": "about:blank",
        "title": what.capitalize(),
        "status": int(status),
        "detail": what,
        "what": what,
        "remedy": remedy,
    }


def _example(schema: Mapping[str, Any], name: str, schemas: Mapping[str, Any], depth: int) -> Any:
    if "$ref" in schema:
        target = str(schema["$ref"]).rpartition("/")[2]
        return _example(schemas[target], name, schemas, depth + 1)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _VALUES[name] if _VALUES.get(name) in schema["enum"] else schema["enum"][0]
    for choices in ("anyOf", "oneOf", "allOf"):
        if choices in schema:
            return _of_choices(schema, schema[choices], name, schemas, depth)
    if name in _VALUES and _fits(_VALUES[name], schema):
        return _VALUES[name]
    return _of_type(schema, name, schemas, depth)


def _of_choices(
    schema: Mapping[str, Any],
    choices: list[Mapping[str, Any]],
    name: str,
    schemas: Mapping[str, Any],
    depth: int,
) -> Any:
    empty = any(choice.get("type") == "null" for choice in choices)
    if empty and (depth > _DEEPEST or (name in _VALUES and _VALUES[name] is None)):
        return None
    chosen = next(choice for choice in choices if choice.get("type") != "null")
    return _example(chosen, name, schemas, depth)


def _of_type(schema: Mapping[str, Any], name: str, schemas: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        return {
            key: _example(value, key, schemas, depth + 1)
            for key, value in schema["properties"].items()
        }
    if kind == "array":
        if depth > _DEEPEST:
            return []
        items = schema.get("items", {})
        first = schema.get("prefixItems", [items])
        return [_example(one, name, schemas, depth + 1) for one in first] if first != [{}] else []
    if "default" in schema:
        return schema["default"]
    if kind == "object":
        return {}
    least = schema.get("minimum", 1)
    plain = {"string": name or "text", "integer": least, "number": float(least), "boolean": True}
    if schema.get("format") == "date-time":
        return _VALUES["at"]
    return plain.get(str(kind))


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    kinds: Mapping[str, type | tuple[type, ...]] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
        "object": dict,
        "null": type(None),
    }
    kind = str(schema.get("type"))
    if kind not in kinds or (isinstance(value, bool) and kind != "boolean"):
        return False
    if not isinstance(value, kinds[kind]):
        return False
    if isinstance(value, list):
        return all(_fits(one, schema.get("items", {})) for one in value)
    return kind != "object" or "properties" not in schema
