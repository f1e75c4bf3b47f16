"""The training key changes with everything that a training reads, and with nothing else."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from tastes import tastes

from kgrec.data.dataset import Column, Dataset, Links, LinkType
from kgrec.data.vocabulary import Vocabulary
from kgrec.stages.train import code_digest, data_fingerprint

_ONE = np.zeros(1, dtype=np.int64)
_SURE = np.ones(1, dtype=np.float32)


def changed(data: Dataset, name: str) -> Dataset:
    """Return the data with one field changed."""
    seen, facts = data.interactions, data.facts
    link = Links(_ONE, _ONE, _ONE, _SURE, (LinkType("entity", "BORN_IN", "entity"),))
    age = Column("age", np.full(data.num_users, 20.0, dtype=np.float32))
    others = {
        "users": Vocabulary([*data.users.ids[1:], "another"]),
        "items": Vocabulary([*data.items.ids[1:], "another"]),
        "entities": Vocabulary([*data.entities.ids[1:], "another"]),
        "interactions": replace(seen, at=seen.at + 1),
        "facts": replace(facts, confidence=facts.confidence / 2),
        "links": link,
        "user_columns": (age,),
        "item_texts": data.item_texts[::-1],
        "entity_names": data.entity_names[::-1],
        "contexts": (("phone", ""),),
        "rejected": seen.take(np.arange(3)),
    }
    return replace(data, **{name: others[name]})


@pytest.mark.parametrize("name", [field.name for field in fields(Dataset)])
def test_every_part_of_the_data_counts(name: str) -> None:
    data = tastes().train
    assert data_fingerprint(data) == data_fingerprint(tastes().train)
    assert data_fingerprint(changed(data, name)) != data_fingerprint(data)


def test_values_of_links_and_columns_count() -> None:
    data = changed(changed(tastes().train, "links"), "user_columns")
    (age,) = data.user_columns
    older = replace(data, user_columns=(replace(age, values=age.values + 1),))
    other = replace(data, links=replace(data.links, tail=data.links.tail + 1))
    assert len({data_fingerprint(one) for one in (data, older, other)}) == 3


def test_the_digest_of_the_code_is_of_files_that_are_there() -> None:
    assert len(code_digest()) == 16
