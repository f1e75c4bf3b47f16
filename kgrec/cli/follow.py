"""What `kgrec ingest interactions LOG --follow` does: load lines as they are written."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from kgrec.cli.console import out
from kgrec.errors import ConfigError, DataError
from kgrec.graph import open_graph

if TYPE_CHECKING:
    from kgrec.config import Settings
    from kgrec.data.sources import Source
    from kgrec.stages.following.follow import FollowSummary

_SHOWN_EVERY_S = 5.0


def follow_log(
    source: Source, domain: str, settings: Settings, *, from_start: bool, as_json: bool
) -> None:
    """Follow a log until it ends or a signal comes; print what is acknowledged, and a summary.

    With `as_json` that is one object a batch, and one at the end with `ended`.

    Raises:
        ConfigError: the log is an address.
        DataError: the log has no columns of interactions, or most lines were set aside.
    """
    from kgrec.stages.following.follow import Follower
    from kgrec.stages.following.lines import LogFile, Pipe

    if source.path is None:
        raise ConfigError(
            "only a file, or - for standard input, can be followed", value=source.title
        )
    signals: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        signals.append(number)

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    shown_at = 0.0

    def show(done: FollowSummary) -> None:
        nonlocal shown_at
        if as_json:
            print(json.dumps({"acknowledged": done.rows, **_counts(done)}), flush=True)
        elif time.monotonic() - shown_at >= _SHOWN_EVERY_S:
            shown_at = time.monotonic()
            out.print(_described(done), markup=False, highlight=False, soft_wrap=True)

    try:
        piped = source.path == Path("-")
        name = "standard input" if piped else str(source.path.resolve())
        with open_graph(settings) as store:
            follower = Follower(store, source, domain, name, home=settings.home)
            if piped:
                done = follower.run(
                    Pipe(sys.stdin.buffer), stop=lambda: bool(signals), on_batch=show
                )
            else:
                position = None if from_start else follower.position()
                log = LogFile(source.path.resolve(), position)
                if not as_json:
                    begin = f"byte {position.offset:,}" if position else "its start"
                    out.print(f"Following {name} from {begin}.", markup=False, highlight=False)
                try:
                    done = follower.run(log, stop=lambda: bool(signals), on_batch=show)
                finally:
                    log.close()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if as_json:
        print(json.dumps({"ended": True, **done.model_dump(mode="json")}), flush=True)
    else:
        out.print(f"Ended. {_described(done)}", markup=False, highlight=False, soft_wrap=True)
        for reason, count in done.reasons.items():
            out.print(f"  {count:,} × {reason}", markup=False, highlight=False)
    if done.rows and done.mostly_rejected:
        raise DataError(
            "most lines were set aside",
            value=f"{done.rejected:,} of {done.rows:,} of {done.log}",
            remedy=f"The others are loaded. Each of these is in {done.rejects}.",
        )


def _counts(done: FollowSummary) -> dict[str, object]:
    at = done.position
    place = {} if at is None else {"line": at.line, "bytes": at.offset}
    counts = {"created": done.created, "updated": done.updated, "rejected": done.rejected}
    return {**counts, **place}


def _described(done: FollowSummary) -> str:
    counts = {
        "created": done.created,
        "updated": done.updated,
        "unchanged": done.unchanged,
        "repeated": done.repeated,
        "set aside": done.rejected,
        "users created": done.users,
        "items created": done.items,
    }
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing"
    rate = done.rows / max(done.seconds, 0.001)
    took = f"{done.seconds:.1f} s, {rate:,.0f} a second"
    return f"{done.rows:,} lines acknowledged: {listed}. {took}."
