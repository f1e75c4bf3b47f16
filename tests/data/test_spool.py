"""The spool gives interactions back by user, each key once, the last one of a key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kgrec.data.records import InteractionRecord
from kgrec.data.spool import InteractionSpool

letters = st.sampled_from("abcde")
records = st.builds(
    InteractionRecord,
    user_id=letters,
    item_id=letters,
    kind=st.sampled_from(["view", "rating"]),
    value=st.sampled_from([1.0, 2.0]),
    at=st.integers(0, 3),
)


@given(st.lists(records, max_size=40))
def test_what_goes_in_comes_out_by_user_and_once(records: list[InteractionRecord]) -> None:
    wanted = {(one.user_id, one.item_id, one.key): (n, one) for n, one in enumerate(records)}
    with InteractionSpool() as spool:
        spool.add(enumerate(records))
        found = list(spool.by_user())
        assert len(spool) == len(wanted)
        assert spool.received == len(records)
    assert {(one.user_id, one.item_id, one.key): (n, one) for n, one in found} == wanted
    users = [one.user_id for _, one in found]
    assert users == sorted(users)
