"""Accuracy by length of history and by popularity of the target, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kgrec.data.dataset import Interactions
from kgrec.evaluation.groups import by_history, by_popularity
from kgrec.evaluation.protocol import HeldOutTargets


def questions() -> HeldOutTargets:
    """User 0 is asked for items 1, 2 and 3, user 1 for item 3; neither has seen anything."""
    user, item = np.array([0, 0, 0, 1]), np.array([1, 2, 3, 3])
    test = Interactions(user, item, np.ones(4, np.float32), user * 0)
    none = np.empty(0, np.int64)
    seen = Interactions(none, none, np.empty(0, np.float32), none).matrix(2, 5)
    return HeldOutTargets.of(seen, test)


def test_targets_are_counted_by_how_many_had_them() -> None:
    popularity = np.array([9, 0, 2, 60, 1])
    items = np.array([[3, 0, 1], [0, 4, 3]])
    found = by_popularity(questions(), items, popularity, 2)
    assert [(g.count, g.targets, g.found) for g in found] == [
        ("0", 1, 0.0),
        ("2 to 3", 1, 0.0),
        ("over 50", 2, 0.5),
    ]
    assert (found[2].low, found[2].high) == (0.0, 1.0)
    deeper = by_popularity(questions(), items, popularity, 3)
    assert [g.found for g in deeper] == [1.0, 0.0, 1.0]


def test_users_are_put_into_quarters_of_history() -> None:
    lengths = np.repeat([1, 2, 3, 5, 8, 13, 21, 34], 5)
    values = {"recall": lengths / 34}
    found = by_history(lengths, 10, values)
    assert sum(group.users for group in found.groups.values()) == 40
    assert found.gaps["recall"].best == "21 to 34"
    assert found.groups["21 to 34"].metrics["recall"].mean == pytest.approx((21 + 34) / 68)
