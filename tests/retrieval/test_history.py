"""Times of a history: those of the graph, or an order where nobody is named."""

from __future__ import annotations

from kgrec.data.vocabulary import Vocabulary
from kgrec.retrieval.history import MINUTE, Event, History, as_history

ITEMS = Vocabulary(("a", "b"))


def history(**known: object) -> History:
    events = [Event(item, item.upper(), **known) for item in ("b", "a")]  # type: ignore[arg-type]
    return as_history(events, ITEMS)


def test_items_of_nobody_are_a_minute_apart_and_the_first_is_the_newest() -> None:
    found = history()
    assert found.histories.item.tolist() == [1, 0]
    assert found.histories.at.tolist() == [found.now - MINUTE, found.now - 2 * MINUTE]


def test_times_that_the_graph_lacks_stay_unknown() -> None:
    assert history(kind="rating").histories.at.tolist() == [0, 0]


def test_a_click_after_the_hour_began_moves_the_request() -> None:
    later = history().now + 5 * MINUTE
    found = history(kind="click", at=later).histories
    assert found.at.tolist() == [later, later]
    assert found.now.tolist() == [later]
