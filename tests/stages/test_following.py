"""Running logs: whole lines, in order, through rotations and kills, each in the graph once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from small_tables import FILMS, Load

from kgrec.data.rejects import read_rejects
from kgrec.data.sources import Source
from kgrec.errors import DataError
from kgrec.graph.store import GraphStore
from kgrec.stages.following.follow import Follower, FollowSummary
from kgrec.stages.following.lines import LogFile, Pipe, Position

BATCH = 1_000


def taken(log: LogFile, wait_s: float = 0.0) -> list[str]:
    """Return the lines that are there, file after file."""
    found: list[str] = []
    until = time.monotonic() + wait_s
    while True:
        lines = log.read(BATCH, 0.05)
        found += [line.decode() for line in lines.lines]
        if not lines.lines and time.monotonic() >= until:
            return found


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(lines))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_lines_count_once_they_are_whole(log: Path) -> None:
    reader = LogFile(log)
    assert taken(reader) == []
    append(log, "one\ntw")
    assert taken(reader) == ["one"]
    append(log, "o\nthree\n")
    assert taken(reader) == ["two", "three"]
    reader.close()


def test_reading_goes_on_at_a_position(log: Path) -> None:
    append(log, *(f"{n}\n" for n in range(2_500)))
    reader, found, position = LogFile(log), list[str](), Position()
    while len(found) < 2_500:
        lines = reader.read(700, 0.0)
        found += [line.decode() for line in lines.lines]
        assert lines.after is not None
        position = lines.after
        assert lines.first == position.line - len(lines.lines) + 1
        reader.close()
        reader = LogFile(log, position)
    assert found == [str(n) for n in range(2_500)]
    assert position.offset == log.stat().st_size
    reader.close()


def test_a_renamed_file_is_read_to_its_end_first(log: Path) -> None:
    reader = LogFile(log)
    append(log, "one\n")
    assert taken(reader) == ["one"]
    with log.open("a") as late:
        log.rename(log.with_name("events.jsonl.1"))
        append(log, "four\n")
        assert taken(reader) == []
        late.write("two\nthree without an end")
        late.flush()
        assert taken(reader, 1.5) == ["two", "three without an end", "four"]
    reader.close()
    assert reader.lost is None


@pytest.mark.parametrize("by_copy", [False, True])
def test_rotations_while_nobody_reads_lose_nothing(log: Path, by_copy: bool) -> None:
    append(log, "one\ntwo\n")
    reader = LogFile(log)
    position = reader.read(1, 0).after
    reader.close()
    for n, (begin, end) in enumerate(((3, 5), (5, 7))):
        shutil.copy2(log, log.with_name(f"events.jsonl.{n}")) if by_copy else log.rename(
            log.with_name(f"events.jsonl.{n}")
        )
        if by_copy:
            os.truncate(log, 0)
        append(log, *(f"line {k}\n" for k in range(begin, end)))
        time.sleep(0.02)
    reader = LogFile(log, position)
    assert taken(reader, 2.5) == ["two", "line 3", "line 4", "line 5", "line 6"]
    assert reader.lost is None
    reader.close()


def test_a_file_that_is_cut_off_is_found_in_its_copy(log: Path) -> None:
    reader = LogFile(log)
    append(log, "one is longer\n")
    assert taken(reader) == ["one is longer"]
    append(log, "two\n")
    shutil.copy(log, log.with_name("events.jsonl.1"))
    os.truncate(log, 0)
    append(log, "three\n")
    assert taken(reader, 1.5) == ["two", "three"]
    reader.close()


def test_what_is_gone_is_reported(log: Path) -> None:
    append(log, "one\n")
    reader = LogFile(log)
    position = reader.read(1, 0).after
    reader.close()
    log.unlink()
    append(log, "other\n")
    reader = LogFile(log, position)
    assert reader.lost == position
    assert taken(reader) == ["other"]
    reader.close()


class Following:
    """A follower in a thread."""

    def __init__(self, store: GraphStore, home: Path, log: Path | int, **settings: Any) -> None:
        name = "standard input" if isinstance(log, int) else str(log)
        path = "-" if isinstance(log, int) else log
        source = Source.model_validate({"kind": "interactions", "path": path, **settings})
        self.follower = Follower(store, source, "movies", name, home=home)
        self.reader: Any
        if isinstance(log, int):
            self.stream = os.fdopen(log, "rb")
            self.reader = Pipe(self.stream)
        else:
            self.reader = LogFile(log, self.follower.position())
        self.seen: list[FollowSummary] = []
        self.done: FollowSummary | None = None
        self.error: Exception | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.done = self.follower.run(
                self.reader, stop=self._stopping.is_set, on_batch=self.seen.append
            )
        except Exception as error:
            self.error = error

    def until(self, rows: int) -> None:
        until = time.monotonic() + 60
        while not (self.seen and self.seen[-1].rows >= rows):
            assert time.monotonic() < until, self.seen
            assert self._thread.is_alive() or self.seen, self.error
            time.sleep(0.02)

    def end(self, *, wait: bool = False) -> FollowSummary:
        if not wait:
            self._stopping.set()
        self._thread.join(60)
        (self.reader if isinstance(self.reader, LogFile) else self.stream).close()
        if self.error is not None:
            raise self.error
        assert self.done is not None
        return self.done


def event(user: str, item: int, at: int, **more: Any) -> str:
    fields = {"user_id": user, "movie_id": str(item), "timestamp": at, **more}
    return json.dumps(fields) + "\n"


def interactions(store: GraphStore) -> list[tuple[Any, ...]]:
    query = (
        "MATCH (u:User)-[x:INTERACTED]->(i:Item) RETURN u.user_id AS u, i.item_id AS i, "
        "x.kind AS k, x.value AS v, x.at.epochMillis AS t"
    )
    return sorted(tuple(row.values()) for row in store.query(query, limit=10_000).rows)


AT = 1_700_000_000


def test_a_log_goes_into_the_graph_once(
    load: Load, empty_store: GraphStore, home: Path, log: Path
) -> None:
    load("catalog", FILMS)
    append(log, event("ann", 1, AT), "no json\n", event("bob", 99, AT), event("ann", 1, AT))
    first = Following(empty_store, home, log)
    first.until(4)
    append(log, event("ann", 2, AT + 1, event="purchase"), event("cy", 3, AT, event="stare"))
    first.until(6)
    done = first.end()
    assert (done.rows, done.created, done.rejected) == (6, 2, 3)
    assert done.repeated + done.unchanged == 1
    assert done.position is not None
    assert done.position.offset == log.stat().st_size
    reasons = {one.reason.partition(" none of")[0] for one in read_rejects(Path(done.rejects))}
    assert reasons == {"not a line of JSON", "there is no such item", "kind is"}
    wanted = [("ann", "1", "view", 1.0, AT * 1000), ("ann", "2", "purchase", 1.0, AT * 1000 + 1000)]
    assert interactions(empty_store) == wanted
    again = Following(empty_store, home, log)
    append(log, event("dee", 3, AT))
    again.until(1)
    assert again.end().rows == 1, "acknowledged lines are read again"
    assert len(interactions(empty_store)) == 3
    # The same log from its start changes nothing.
    os.utime(log)
    name = log.with_name("copy.jsonl")
    shutil.copy(log, name)
    whole = Following(empty_store, home, name)
    whole.until(7)
    done = whole.end()
    assert (done.created, done.updated) == (0, 0)
    assert len(interactions(empty_store)) == 3


def test_csv_from_a_pipe_ends_in_good_order(
    load: Load, empty_store: GraphStore, home: Path
) -> None:
    load("catalog", FILMS)
    out, into = os.pipe()
    following = Following(empty_store, home, out, kinds={"gaze": {"kind": "view", "weight": 0.5}})
    os.write(into, b"user;film;action;ts\nann;1;gaze;1700000000\nann;2;buy;1700000001\nann;")
    following.until(3)
    os.write(into, b"3;\xff;1700000002\nbroken\nbob;3;pv;1700000003")
    os.close(into)
    done = following.end(wait=True)
    assert (done.rows, done.created, done.rejected) == (6, 3, 2)
    kept = [one[:4] for one in interactions(empty_store)]
    assert kept == [
        ("ann", "1", "view", 0.5),
        ("ann", "2", "purchase", 1.0),
        ("bob", "3", "view", 1.0),
    ]


def test_columns_that_come_later_are_read(
    load: Load, empty_store: GraphStore, home: Path, log: Path
) -> None:
    load("catalog", FILMS)
    append(log, event("ann", 1, AT))
    following = Following(empty_store, home, log)
    following.until(1)
    append(log, event("ann", 2, AT, event="buy"), event("bob", 1, AT, event="play"))
    following.until(3)
    following.end()
    assert [one[2] for one in interactions(empty_store)] == ["view", "purchase", "play"]


def test_a_rotated_csv_log_has_its_line_of_names_again(
    load: Load, empty_store: GraphStore, home: Path, tmp_path: Path
) -> None:
    load("catalog", FILMS)
    path = tmp_path / "seen.csv"
    append(path, "user_id,movie_id,timestamp\n", f"ann,1,{AT}\n")
    following = Following(empty_store, home, path)
    following.until(2)
    path.rename(tmp_path / "seen.csv.1")
    append(path, "movie_id,user_id,timestamp\n", f"2,bob,{AT}\n")
    following.until(4)
    done = following.end()
    assert (done.created, done.rejected) == (2, 0)
    assert [one[:2] for one in interactions(empty_store)] == [("ann", "1"), ("bob", "2")]


def test_a_log_without_the_columns_is_an_error(
    empty_store: GraphStore, home: Path, log: Path
) -> None:
    append(log, '{"a": 1}\n')
    with pytest.raises(DataError, match="no column looks like user_id"):
        Following(empty_store, home, log).end(wait=True)


@pytest.mark.slow
def test_kills_lose_nothing_that_was_acknowledged_and_double_nothing(
    load: Load, empty_store: GraphStore, home: Path, log: Path
) -> None:
    load("catalog", FILMS)
    draw = random.Random(1)
    written = [event(f"u{n % 40}", 1 + n % 3, AT + n) for n in range(1_500)]
    writing = iter(written)
    environment = {**os.environ, "KGREC_HOME": str(home)}
    environment.pop("KGREC_GRAPH_URI", None)
    arguments = ["ingest", "interactions", str(log), "--domain", "movies", "--follow", "--json"]
    command = [sys.executable, "-m", "kgrec", *arguments]
    acknowledged = 0
    for attempt in range(3):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
        ) as process:
            assert process.stdout is not None
            last = attempt == 2
            kill_after = draw.randint(3, 8)
            for batch in range(1_000):
                append(log, *(line for _, line in zip(range(60), writing, strict=False)))
                if last:
                    append(log, *writing)
                found = json.loads(process.stdout.readline())
                assert found["line"] >= acknowledged
                acknowledged = found["line"]
                if batch == kill_after and not last:
                    process.kill()
                    break
                if last and acknowledged == len(written):
                    process.send_signal(signal.SIGTERM)
                    ended = json.loads(process.stdout.read())
                    assert ended["ended"] is True
                    break
        assert process.returncode == (0 if last else -signal.SIGKILL)
        times = {one[4] for one in interactions(empty_store)}
        assert {(AT + n) * 1000 for n in range(acknowledged)} <= times
    assert len(interactions(empty_store)) == len(written)
