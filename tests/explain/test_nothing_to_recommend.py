"""What `kgrec recommend` says when it has nothing to show."""

from __future__ import annotations

import pytest

from kgrec.cli.recommend import _show
from kgrec.retrieval.records import Fallback, RecommendationList


@pytest.mark.parametrize(
    ("fallback", "filtered", "says"),
    [
        (None, True, "No item that the model knows and that ann has not seen passes the filters."),
        ("unknown_user", True, "No item that ann has not seen passes the filters."),
        (None, False, "Every item that the model knows has been seen."),
        ("empty_history", False, "Nobody has interacted with an item that ann has not seen."),
    ],
)
def test_the_case_is_named(
    capsys: pytest.CaptureFixture[str], fallback: Fallback | None, filtered: bool, says: str
) -> None:
    found = RecommendationList(
        items=(), model_id="m", vocabulary_hash="h", user_id="ann", fallback=fallback
    )
    _show(found, filtered=filtered)
    assert says in capsys.readouterr().out


def test_what_is_missing_is_called_by_the_word_of_the_domain(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = RecommendationList(items=(), model_id="m", vocabulary_hash="h", user_id="ann")
    _show(found, word="book", filtered=False)
    assert "Every book that the model knows" in capsys.readouterr().out
