"""The spool gives interactions back by user, each key once, the last one of a key."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgrec.data.interactions import spool as spools
from kgrec.data.interactions.columns import InteractionBatch
from kgrec.data.interactions.spool import InteractionSpool
from kgrec.data.records import InteractionRecord

letters = st.sampled_from("abcde")
records = st.builds(
    InteractionRecord,
    user_id=letters,
    item_id=letters,
    kind=st.sampled_from(["view", "rating"]),
    value=st.sampled_from([1.0, 2.0]),
    at=st.integers(0, 3),
)


@settings(deadline=None)
@given(st.lists(records, max_size=40), st.integers(1, 9), st.sampled_from([3, 1 << 20]))
def test_what_goes_in_comes_out_by_user_and_once(
    records: list[InteractionRecord], size: int, in_memory: int
) -> None:
    wanted = {(one.user_id, one.item_id, one.key): (n, one) for n, one in enumerate(records)}
    with pytest.MonkeyPatch.context() as patch, InteractionSpool() as spool:
        patch.setattr(spools, "_IN_MEMORY", in_memory)
        rows = list(enumerate(records))
        for begin in range(0, len(rows), 2):
            spool.add(InteractionBatch.of(rows[begin : begin + 2]))
        batches = list(spool.by_user(size, 12))
        found = [one for batch in batches for one in batch.records()]
        assert len(spool) == len(wanted)
        assert spool.received == len(records)
        for user, item, kind, at in itertools.product("abf", "ab", ["view", "x"], range(2)):
            assert spool.has(user, item, kind, at) == ((user, item, f"{kind}@{at}") in wanted)
    assert {(one.user_id, one.item_id, one.key): (n, one) for n, one in found} == wanted
    assert len(found) == len(wanted)
    users = [user for user, _ in itertools.groupby(one.user_id for _, one in found)]
    assert len(users) == len(set(users))
    if in_memory > len(records):
        assert users == sorted(users)
    for batch, after in itertools.pairwise(batches):
        assert size <= len(batch) <= 12 or batch.users[-1] != after.users[0]
