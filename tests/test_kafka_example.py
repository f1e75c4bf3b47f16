"""The Kafka example, as far as it goes without a broker."""

from __future__ import annotations

import runpy
from collections import deque
from pathlib import Path

EXAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "kafka_log.py"))


def test_offsets_are_committed_up_to_what_is_acknowledged() -> None:
    pending = deque([(0, 7), (1, 3), (0, 8), (1, 4)])
    assert EXAMPLE["acknowledged"](pending, 3) == {0: 9, 1: 4}
    assert list(pending) == [(1, 4)]
    assert EXAMPLE["acknowledged"](pending, 0) == {}


def test_a_message_is_one_line() -> None:
    assert EXAMPLE["as_line"](b'{"user_id":\n "ann"}') == b'{"user_id":  "ann"}\n'
    assert EXAMPLE["as_line"](None) == b"\n"
