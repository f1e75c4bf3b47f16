"""Where `kgrec extract` and `kgrec extract run` read texts: options that both have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from kgrec.errors import ConfigError


class ReadingEngine(StrEnum):
    """Where texts are read."""

    local = "local"
    ray = "ray"


EngineOption = Annotated[
    ReadingEngine, typer.Option(help="Where texts are read: this machine, or a cluster of Ray.")
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="host:port of the cluster; RAY_ADDRESS without it, else started here."),
]
Processes = Annotated[
    int | None,
    typer.Option(min=1, help="How many read at once; with Ray all processors of the cluster."),
]


def check_address(engine: ReadingEngine, ray_address: str | None) -> None:
    """Refuse an address of a cluster that is not used; raises ConfigError."""
    if ray_address is not None and engine is not ReadingEngine.ray:
        raise ConfigError(
            "an address of a Ray cluster is given, and texts are read on this machine",
            value=f"--ray-address {ray_address}",
            remedy="Add --engine ray, or leave it out.",
        )
