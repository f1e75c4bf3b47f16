"""A dataset as a `HeteroData`, in files, and back."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tastes import encode_words, tastes

from kgrec.data.atomic import SplitDataset
from kgrec.data.dataset import Column, Dataset, Interactions, Links, LinkType
from kgrec.data.protocols import hold_out
from kgrec.data.vocabulary import Vocabulary
from kgrec.errors import ConfigError, DataError
from kgrec.evaluation.evaluate import EvaluateConfig, evaluate
from kgrec.evaluation.measure import HeldOutQueries, measure
from kgrec.export.hetero_files import GRAPH_FILE, is_export, load_hetero, save_hetero
from kgrec.export.pyg import from_hetero, to_hetero, vocabularies
from kgrec.learning.agent import FitContext
from kgrec.learning.collaborative.agent import CollaborativeAgent, CollaborativeConfig
from kgrec.learning.fit_team import fit_team
from kgrec.learning.knowledge.agent import KnowledgeAgent, KnowledgeConfig


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Tastes with links of four kinds, and users with a number and a category."""
    train = tastes(users=40).train
    types = (
        LinkType("entity", "PART_OF", "entity"),
        LinkType("item", "SEQUEL_OF", "item"),
        LinkType("user", "FOLLOWS", "user"),
        LinkType("user", "LIKES", "entity"),
    )
    links = Links(
        np.array([1, 5, 2, 0, 3]),
        np.array([1, 0, 2, 0, 3]),
        np.array([2, 1, 4, 3, 1]),
        np.array([1.0, 0.5, 1.0, 0.25, 1.0], dtype=np.float32),
        types,
    )
    links.head[1] = 2  # entities are but four
    age = np.full(train.num_users, np.nan, dtype=np.float32)
    age[:4] = [20, 30, 40, 50]
    gender = np.arange(train.num_users) % 3 - 1
    columns = (Column("age", age), Column("gender", gender, ("F", "M")))
    turned = np.random.default_rng(0).permutation(len(train.facts))
    facts = replace(
        train.facts,
        **{name: getattr(train.facts, name)[turned] for name in ("item", "relation", "entity")},
    )
    return replace(train, links=links, user_columns=columns, facts=facts)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(
            one, other, equal_nan=one.dtype.kind == "f"
        )
    if isinstance(one, Vocabulary):
        return one.hash == other.hash
    if hasattr(one, "__dataclass_fields__"):
        return all(equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def test_nodes_have_features_and_edges_have_theirs(dataset: Dataset) -> None:
    data = to_hetero(dataset, encode_words)
    assert data.validate()
    expected = encode_words(dataset.described_items(24))
    np.testing.assert_array_equal(data["item"].x.numpy(), expected)
    assert data["entity"].x.shape == (4, expected.shape[1])
    assert data["user"].x_names == ["age", "age is known", "gender=F", "gender=M"]
    x = data["user"].x.numpy()
    np.testing.assert_allclose(x[:4, 0], np.array([-15, -5, 5, 15]) / np.std([20, 30, 40, 50]))
    assert x[:4, 1].tolist() == [1, 1, 1, 1]
    assert not x[4:, :2].any()
    assert x[:3, 2:].tolist() == [[0, 0], [1, 0], [0, 1]]
    taken = data["user", "INTERACTED", "item"]
    assert {"edge_index", "value", "time", "kind"} == set(taken.keys())
    assert data["entity", "PART_OF", "entity"].edge_index.tolist() == [[2, 0], [1, 3]]
    assert data["item", "SEQUEL_OF", "item"].confidence.tolist() == [1.0]
    assert len(data.edge_types) == 1 + 1 + 4


def test_without_an_encoder_or_columns_nodes_have_none(dataset: Dataset) -> None:
    data = to_hetero(replace(dataset, user_columns=()))
    assert not any("x" in data[kind] for kind in data.node_types)
    assert data["user"].num_nodes == dataset.num_users


def test_the_graph_moves_to_a_device_whole(dataset: Dataset) -> None:
    data = to_hetero(dataset, encode_words).to("meta")
    tensors = [data["item"].x, data["user"].x, data["user"].property["age"]]
    tensors += [value for kind in data.edge_types for value in data[kind].values()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_a_dataset_comes_back_from_memory_and_from_files(dataset: Dataset, tmp_path: Path) -> None:
    assert equal(from_hetero(to_hetero(dataset), vocabularies(dataset)), dataset)
    save_hetero(dataset, tmp_path, encode_words)
    data, ids = load_hetero(tmp_path)
    assert data.validate()
    assert equal(from_hetero(data, ids), dataset)
    assert torch.equal(data["item"].x, to_hetero(dataset, encode_words)["item"].x)
    assert is_export(tmp_path)
    assert not is_export(tmp_path / "other")


def test_agents_fitted_from_an_export_are_those_fitted_in_memory(
    dataset: Dataset, tmp_path: Path
) -> None:
    save_hetero(dataset, tmp_path, encode_words)
    data, ids = load_hetero(tmp_path)
    settings: dict[str, Any] = {"embedding_dim": 8, "schedule": {"steps": 4}, "tau": 0.3}
    in_memory = FitContext(dataset, encode=encode_words)
    exported = FitContext(from_hetero(data, ids), graph=data)  # and without an encoder
    for agent in (
        CollaborativeAgent(CollaborativeConfig(**settings)),
        KnowledgeAgent(KnowledgeConfig(**settings)),
    ):
        one, other = agent.fit(in_memory), agent.fit(exported)
        assert one.item_factors is not None
        np.testing.assert_array_equal(one.item_factors, other.item_factors)


def test_an_export_is_evaluated_as_the_data_it_was_made_of(
    dataset: Dataset, tmp_path: Path
) -> None:
    save_hetero(dataset, tmp_path)
    with pytest.raises(ConfigError, match="no split"):
        evaluate(EvaluateConfig(folder=tmp_path))
    settings = {"agents": ("linear", "collaborative"), "settings": {"collaborative": {"steps": 5}}}
    config = EvaluateConfig.model_validate(
        {
            "folder": tmp_path,
            "protocol": {"name": "warm"},
            "canonical": True,
            "ks": (5,),
            "team": settings,
        }
    )
    result = evaluate(config, encode=encode_words)
    none = Interactions.empty()
    whole = SplitDataset("memory", dataset.in_canonical_order(), none, none)
    data = hold_out(whole, config.protocol, seed=config.team.seed)
    team = fit_team(data.train, data.valid, config.team, encode=encode_words)
    found = measure(team, HeldOutQueries(data, config.history, (5,)))
    assert result.ranking.model_copy(update={"seconds": 0.0}) == found.ranking.model_copy(
        update={"seconds": 0.0}
    )


def test_a_pickle_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data.pt").write_bytes(pickle.dumps({"never": "read"}))
    with pytest.raises(DataError, match="earlier version") as caught:
        load_hetero(tmp_path)
    assert "Export again" in str(caught.value)


def test_a_broken_export_is_a_clear_error(dataset: Dataset, tmp_path: Path) -> None:
    save_hetero(dataset, tmp_path)
    described = json.loads((tmp_path / GRAPH_FILE).read_text())
    (tmp_path / GRAPH_FILE).write_text(json.dumps({**described, "format": 99}))
    with pytest.raises(DataError, match="another format"):
        load_hetero(tmp_path)
    (tmp_path / GRAPH_FILE).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        load_hetero(tmp_path)
