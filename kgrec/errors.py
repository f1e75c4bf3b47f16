"""Every error that kgrec raises: one tree, each with what failed, the value and the remedy.

The command line prints the three parts and leaves with the error's `exit_code`; the HTTP API
answers with its `status`. Anything that is not in this tree is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class KGRecError(Exception):
    """What failed, the value it failed on, and what to do about it."""

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500

    def __init__(self, what: str, *, value: object = None, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.value = value
        self.remedy = remedy

    def __str__(self) -> str:
        text = self.what if self.value is None else f"{self.what}: {self.value!r}"
        return f"{text}. {self.remedy}" if self.remedy else text


class ConfigError(KGRecError):
    """A setting, a pipeline file or a command's options do not make sense."""

    exit_code = 2
    status = 400


class SchemaError(ConfigError):
    """The vocabulary lacks a label, a relation type or a statement, or contradicts itself."""


class DataError(KGRecError):
    """A file cannot be read, or nothing in it is usable."""

    exit_code = 3
    status = 422


class RetirementError(DataError):
    """A complete source no longer holds more of what it held than may go."""


class NotFoundError(KGRecError):
    """No such user, item, model or data set."""

    exit_code = 4
    status = 404


class ModelError(KGRecError):
    """A checkpoint is missing, broken, or belongs to another vocabulary."""

    exit_code = 5
    status = 409


class GraphError(KGRecError):
    """The graph database refused or failed a statement."""

    exit_code = 6
    status = 502


class GraphUnavailableError(GraphError):
    """No graph database answers at the address."""

    status = 503


class GraphAuthError(GraphError):
    """The graph database does not accept the user or the password."""


class GraphTimeoutError(GraphError):
    """A statement ran longer than it may."""

    status = 504


class GraphConstraintError(GraphError):
    """A write contradicts a uniqueness constraint."""

    status = 409


class GraphStatementError(GraphError):
    """A statement that a caller wrote is wrong: its syntax, its names or its parameters."""

    status = 400


class GraphReadOnlyError(GraphError):
    """A write in a read-only session."""

    status = 403


class ClusterError(KGRecError):
    """A Ray cluster cannot be reached, or its workers fail."""

    status = 503


class TimeLimitError(KGRecError):
    """The answer took longer than it may, or nobody waits for it any more."""

    status = 504


EXTRAS = {
    "fastapi": "serve",
    "prometheus_client": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "optuna": "train",
    "threadpoolctl": "train",
    "torch": "train",
    "torch_geometric": "train",
    "transformers": "train",
    "rapidfuzz": "resolve",
    "spacy": "text",
    "tokenizers": "text",
    "networkx": "data",
    "pooch": "data",
    "pyarrow": "data",
    "aiohttp": "remote",
    "fsspec": "remote",
    "psycopg": "sql",
    "ray": "ray",
    "rdflib": "rdf",
    "sqlalchemy": "sql",
}
"""Packages that are no dependency of kgrec itself, with the extra that brings them."""


def missing_extra(error: ImportError) -> ConfigError | None:
    """Return the error for a package that an extra brings; None for any other."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    if extra is None:
        return None
    return ConfigError(
        "a package that this needs is not installed",
        value=package,
        remedy=f"Run `pip install 'kgrec[{extra}]'`; `kgrec[all]` brings everything.",
    )
