"""The systems that can be measured, by name; a new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable

from peers.base import System


def _closed(name: str) -> System:
    from peers import closed

    return getattr(closed, name)()


def _factors(name: str) -> System:
    from peers import factors

    return getattr(factors, name)()


def _hopwise(model: str) -> System:
    from peers.hopwise_models import HopwiseModel

    return HopwiseModel(model)


def _kgrec(variant: str) -> System:
    from peers.kgrec_team import KgrecTeam

    return KgrecTeam(variant)


OURS = "kgrec"
PEERS: dict[str, Callable[[], System]] = {
    "popularity": lambda: _closed("Popularity"),
    "cosine": lambda: _closed("ItemCosine"),
    "ease": lambda: _closed("Ease"),
    "als": lambda: _factors("ALS"),
    "bpr": lambda: _factors("BPR"),
    "lightgcn": lambda: _hopwise("LightGCN"),
    "kgat": lambda: _hopwise("KGAT"),
    "kgin": lambda: _hopwise("KGIN"),
}


def is_ours(name: str) -> bool:
    """Whether a name is kgrec or a variant of it, such as `kgrec:linear` or `kgrec:none`."""
    return name.partition(":")[0] == OURS


def known(name: str) -> bool:
    """Whether there may be a system of this name."""
    return name in PEERS or is_ours(name)


def build(name: str) -> System:
    """Return the system of this name, not yet prepared."""
    return _kgrec(name.partition(":")[2]) if is_ours(name) else PEERS[name]()
