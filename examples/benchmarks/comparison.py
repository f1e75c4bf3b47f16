"""How far kgrec is ahead of a peer, and at what cost: differences, intervals, ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from peers.registry import OURS, is_ours
from results import Result

from kgrec.metrics.intervals import Difference, compare

Leads = dict[str, dict[str, Difference]]
"""System to metric to how far kgrec is ahead of it."""


def ours(results: Sequence[Result]) -> Result | None:
    """Return kgrec with its defaults, if it was measured."""
    return next((each for each in results if each.system == OURS), None)


def best_peer(results: Sequence[Result], metric: str, k: int) -> Result | None:
    """Return the peer with the best value on the test part.

    That looks at the test part in favour of the peers: kgrec's own settings never do.
    """
    peers = [each for each in results if not is_ours(each.system)]
    return max(peers, key=lambda each: each.at[k].mean[metric].mean, default=None)


def lead(kgrec: Result, peer: Result, k: int) -> dict[str, Difference]:
    """Return how much better kgrec is for the same users, metric by metric."""
    if kgrec.users != peer.users:
        raise ValueError(f"{kgrec.system} and {peer.system} were measured on different users")
    if kgrec.mask != peer.mask:
        raise ValueError(f"{kgrec.system} has the mask {kgrec.mask}, {peer.system} {peer.mask}")
    return compare(kgrec.per_user(k), peer.per_user(k))


def leads_of(kgrec: Result, results: Sequence[Result], k: int) -> Leads:
    """Return how much better kgrec is than each of the others."""
    return {each.system: lead(kgrec, each, k) for each in results if each is not kgrec}


@dataclass(frozen=True)
class TimeToQuality:
    """How soon kgrec is as good on the validation part as a peer ever gets.

    Attributes:
        target: the best value of the peer.
        peer_seconds: training of its chosen setting up to that value, without looking.
        kgrec_seconds: fitting what reaches it first, with choosing and looking; None if nothing.
        by: what that is.
    """

    target: float
    peer_seconds: float
    kgrec_seconds: float | None
    by: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.kgrec_seconds is None else self.peer_seconds / self.kgrec_seconds


def time_to_quality(kgrec: Result, peer: Result) -> TimeToQuality:
    """Compare the times to the peer's best value on the validation part."""
    best = max(peer.curve, key=lambda point: point.valid)
    soon = [point for point in kgrec.curve if point.valid >= best.valid]
    if not soon:
        return TimeToQuality(best.valid, best.seconds, None)
    first = min(soon, key=lambda point: point.seconds)
    return TimeToQuality(best.valid, best.seconds, first.seconds, first.after)
