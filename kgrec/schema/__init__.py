"""The vocabulary and the statements of `graph_schema/`, read into one frozen object.

Labels, relation types and Cypher are data. Code reads them by role (`schema.labels.item`) or
by file (`schema.statement("ingest/create_items")`); a label or type that comes from outside is
checked against the vocabulary before it is placed in a statement.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from kgrec.config import FrozenModel, load_toml, parse_config
from kgrec.errors import SchemaError
from kgrec.resources import resource_dir
from kgrec.schema.domain import (
    ENDS,
    IDENTIFIER,
    Core,
    Domain,
    Index,
    Labels,
    NodeKind,
    Quantity,
    Reading,
    Relation,
    Relations,
    Rule,
)
from kgrec.schema.loading import load_domain

__all__ = [
    "ENDS",
    "Core",
    "Domain",
    "Index",
    "NodeKind",
    "Quantity",
    "Reading",
    "Relation",
    "Rule",
    "Schema",
    "Statement",
    "load_domain",
    "load_schema",
    "meanings_of",
]

_SEVERAL = {
    f"__{slot}__": re.compile(rf"{IDENTIFIER.pattern}(?:{sign}{IDENTIFIER.pattern})*")
    for slot, sign in (("RELATIONS", r"\|"), ("LABELS", ":"))
}
_SLOT = re.compile(r"__[A-Z][A-Z_]*?__")
_PARAMETER = re.compile(r"\$([a-z_][a-z0-9_]*)")
_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)


UNCHANGED = "unchanged: catalogue"
"""The line in the header of a writing statement that leaves items, entities and facts alone."""


class Statement(FrozenModel):
    """A Cypher statement from a file.

    A name in double underscores (`__ITEM_TYPE__`) is a slot for a label, a relation type, a
    property or an index name; `text` fills it with a checked identifier. `__RELATIONS__` takes
    several relation types with `|` between, `__LABELS__` several labels with `:` between. All else
    is a parameter.
    """

    name: str
    header: str
    body: str
    slots: frozenset[str]
    parameters: frozenset[str]

    @property
    def changes_catalogue(self) -> bool:
        """Whether a run may change items, entities or what ties them, unless the header denies."""
        return UNCHANGED not in self.header.splitlines()

    def text(self, **slots: str) -> str:
        """Return the Cypher with its slots filled, for example `text(item_type="Movie")`.

        Raises:
            SchemaError: a slot is left open, is unknown, or its value is no identifier.
        """
        filled = {f"__{name.upper()}__": value for name, value in slots.items()}
        if filled.keys() != self.slots:
            wrong = ", ".join(sorted(filled.keys() ^ self.slots))
            raise SchemaError(f"statement {self.name!r} and its slots disagree", value=wrong)
        body = self.body
        for slot, value in filled.items():
            if not _SEVERAL.get(slot, IDENTIFIER).fullmatch(value):
                raise SchemaError(
                    f"{slot} of statement {self.name!r} must be a plain identifier",
                    value=value,
                    remedy="Use letters, digits and underscores, a letter first.",
                )
            body = body.replace(slot, value)
        return body


class Schema(FrozenModel):
    """The shared vocabulary, the known domains and every statement."""

    core: Core
    domains: dict[str, Domain]
    statements: dict[str, Statement]

    @property
    def labels(self) -> Labels:
        return self.core.labels

    @property
    def relations(self) -> Relations:
        return self.core.relations

    def domain(self, name: str) -> Domain:
        """Return a domain by its name, or by the path of a domain file of the user's own."""
        if name in self.domains:
            return self.domains[name]
        if name.endswith(".toml"):
            return load_domain(Path(name), self.core)
        raise SchemaError(
            "there is no such domain",
            value=name,
            remedy=f"Known: {', '.join(sorted(self.domains))}. Or give the path of a .toml file.",
        )

    def statement(self, name: str) -> Statement:
        """Return the statement of file `cypher/<name>.cypher`."""
        try:
            return self.statements[name]
        except KeyError:
            raise SchemaError("there is no such statement", value=name) from None


@cache
def load_schema() -> Schema:
    """Read `graph_schema/` once; raises SchemaError or ConfigError where a file is wrong."""
    root = resource_dir("graph_schema")
    core = parse_config(Core, load_toml(root / "core.toml"), origin="core.toml")
    paths = sorted((root / "domains").glob("*.toml"))
    domains = {path.stem: load_domain(path, core) for path in paths}
    folder = root / "cypher"
    statements = {
        name: _read_statement(name, path)
        for path in sorted(folder.rglob("*.cypher"))
        for name in [path.relative_to(folder).with_suffix("").as_posix()]
    }
    return Schema(core=core, domains=domains, statements=statements)


def meanings_of(domain: str | None) -> dict[str, str]:
    """Return the sentence of each relation type of the known domains, and of one more by name.

    Args:
        domain: name of a domain, or path of a domain file of the user's own.
    """
    schema = load_schema()
    domains = [*schema.domains.values()]
    if domain is not None:
        domains.append(schema.domain(domain))
    return {name: relation.meaning for each in domains for name, relation in each.relations.items()}


def _read_statement(name: str, path: Path) -> Statement:
    text = path.read_text(encoding="utf-8")
    body = _COMMENT.sub("", text).strip()
    header = "\n".join(
        line.lstrip()[2:].strip() for line in text.splitlines() if line.lstrip().startswith("//")
    )
    return Statement(
        name=name,
        header=header,
        body=body,
        slots=frozenset(_SLOT.findall(body)),
        parameters=frozenset(_PARAMETER.findall(body)),
    )
