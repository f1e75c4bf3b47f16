"""Load a Kafka topic of interactions as it is written.

    pip install confluent-kafka
    python examples/kafka_log.py localhost:9092 events --domain shop

Messages are JSON objects, as lines of a log are (docs/tables.md). They go to `kgrec ingest
interactions - --follow`, and an offset is committed once kgrec has acknowledged its line, so that a
kill of either loses nothing; what is delivered twice counts once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable

Place = tuple[int, int]
"""Partition and offset of a message."""


def as_line(value: bytes | None) -> bytes:
    """Return a message as one line of a log."""
    return b" ".join((value or b"").splitlines()) + b"\n"


def acknowledged(pending: deque[Place], lines: int) -> dict[int, int]:
    """Take as many messages from those that wait; return where each partition goes on."""
    places: Iterable[Place] = (pending.popleft() for _ in range(lines))
    return {partition: offset + 1 for partition, offset in places}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("servers")
    parser.add_argument("topic")
    parser.add_argument("--domain", required=True)
    parser.add_argument("--group", default="kgrec")
    given = parser.parse_args()

    from confluent_kafka import Consumer, TopicPartition

    settings = {"bootstrap.servers": given.servers, "group.id": given.group}
    settings |= {"enable.auto.commit": False, "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([given.topic])
    command = [sys.executable, "-m", "kgrec", "ingest", "interactions", "-", "--follow", "--json"]
    command += ["--domain", given.domain]
    pending: deque[Place] = deque()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as kgrec:

        def commit() -> None:
            before = 0
            for line in kgrec.stdout:
                done = json.loads(line).get("acknowledged", before)
                places = acknowledged(pending, done - before)
                before = done
                offsets = [TopicPartition(given.topic, *place) for place in places.items()]
                if offsets:
                    consumer.commit(offsets=offsets, asynchronous=False)

        threading.Thread(target=commit, daemon=True).start()
        while kgrec.poll() is None:
            message = consumer.poll(1.0)
            if message is not None and message.error() is None:
                pending.append((message.partition(), message.offset()))
                kgrec.stdin.write(as_line(message.value()))
                kgrec.stdin.flush()


if __name__ == "__main__":
    main()
