"""Pack: a trained model in fewer bytes as a model of its own, and what that costs and gains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from pydantic import Field

from kgrec.config import FrozenModel, parse_config
from kgrec.data.dataset import Dataset
from kgrec.data.protocols import split_by_ratio
from kgrec.data.selection import Selection
from kgrec.errors import ConfigError, ModelError
from kgrec.graph.store import GraphStore
from kgrec.graph.training_data import read_dataset
from kgrec.metrics.validation import Objective, Validation
from kgrec.model.folding.files import load_folding
from kgrec.model.histories import Histories
from kgrec.model.kernel import Kernel
from kgrec.model.packed import PackedMatrix, PackedRows, Precision, pack_rows, strongest
from kgrec.model.storage import load_team, save_model
from kgrec.model.team import Team
from kgrec.progress import SILENT, Progress

_HELD_OUT = 0.1
"""The share of each user's interactions that training chooses on by default."""


class Packing(FrozenModel):
    """How a model is packed.

    Attributes:
        precision: of factors and sparse rows.
        prune: at most so many sparse weights of each history item are kept; None keeps all.
    """

    precision: Precision = "float32"
    prune: int | None = Field(default=None, ge=1)


class Weights(FrozenModel):
    """What the weights of a model take.

    Attributes:
        file: bytes of `model.safetensors`.
        memory: bytes of factors, rows and priors in memory once it is loaded.
        rows: number of sparse weights.
        metric: on the validation part.
    """

    file: int
    memory: int
    rows: int
    metric: float


class PackSummary(FrozenModel):
    """A packed model beside the one that it was made of.

    Attributes:
        of: id of that one.
        model_id: id of the packed one.
        before, after: what they take, and how good they are.
        metric: name of the metric.
        users: how many were measured.
        same: share of the items that are in both lists of a user, in the mean.
    """

    of: str
    model_id: str
    packing: Packing
    before: Weights
    after: Weights
    metric: str
    users: int
    same: float


def pack(
    store: GraphStore,
    models: Path,
    model_id: str,
    packing: Packing,
    *,
    progress: Progress = SILENT,
) -> PackSummary:
    """Write a packed copy of a model beside it, and measure both on the validation part.

    That is a tenth of each user's interactions, drawn as `kgrec train` draws it by default; the
    histories are the rest. A team that was fitted again on all interactions has learned from these
    targets, so the two figures are high, and their difference is what counts.

    Args:
        models: `<home>/models`.
        model_id: a model that is not packed.

    Raises:
        ConfigError: nothing would be packed.
        ModelError: the model is packed already, is broken, or a weight does not fit.
        DataError: the graph holds no items of the model's domain.
    """
    if packing == Packing():
        raise ConfigError(
            "float32 without pruning is the model as it is",
            remedy="Give --precision float16 or int8, or --prune N.",
        )
    folder = models / model_id
    team = replace(load_team(folder), folding=load_folding(folder))
    kernels = tuple(pack_kernel(kernel, packing) for kernel in team.kernels)
    about = packing.model_dump() | {"of": model_id}
    packed = replace(team, kernels=kernels, config={**team.config, "packing": about})
    record = save_model(packed, models)
    packed = load_team(models / record.model_id)  # measured is what will be served
    validation, objective = _validation(store, team, progress)
    before, after = (
        _weights(each, models / name, validation)
        for each, name in ((team, model_id), (packed, record.model_id))
    )
    return PackSummary(
        of=model_id,
        model_id=record.model_id,
        packing=packing,
        before=before,
        after=after,
        metric=f"{objective.metric}@{objective.k}",
        users=len(validation),
        same=_in_both(team, packed, validation),
    )


def pack_kernel(kernel: Kernel, packing: Packing) -> Kernel:
    """Return a kernel in fewer bytes.

    Raises:
        ModelError: a number does not fit, or the kernel is packed already.
    """
    if isinstance(kernel.item_factors, PackedRows) or isinstance(kernel.rows, PackedMatrix):
        raise ModelError(
            "the model is packed already",
            value=kernel.agent,
            remedy="Name the model that it was made of; `kgrec models show` has its id.",
        )
    rows = kernel.rows
    if rows is not None and packing.prune is not None:
        rows = strongest(rows, packing.prune)
    if packing.precision == "float32":
        return replace(kernel, rows=rows)
    dense: dict[str, Any] = {}
    if kernel.history_factors is not None and kernel.item_factors is not None:
        dense = {
            "history_factors": PackedRows.of(np.asarray(kernel.history_factors), packing.precision),
            "item_factors": PackedRows.of(np.asarray(kernel.item_factors), packing.precision),
        }
    packed = None if rows is None else pack_rows(rows, packing.precision)
    return replace(kernel, rows=packed, **dense)


def _validation(store: GraphStore, team: Team, progress: Progress) -> tuple[Validation, Objective]:
    given = dict(team.config.get("selection") or {})
    selection = parse_config(Selection, given, origin="selection of the model")
    dataset = read_dataset(store, selection, progress=progress)
    known = _as_the_team_counts(dataset, team)
    seed = int(team.config.get("seed", 2024))
    ratios = (1.0 - _HELD_OUT, _HELD_OUT)
    learned, held_out = split_by_ratio(known.interactions, ratios, seed=seed)
    chosen = (team.config.get("coordinator") or {}).get("objective") or {}
    objective = parse_config(Objective, chosen, origin="objective of the model")
    histories = Histories.of(learned, known.num_users, known.num_items)
    return Validation(histories, held_out, objective, seed=seed), objective


def _as_the_team_counts(dataset: Dataset, team: Team) -> Dataset:
    """Return the data over the items that the team knows, in its order."""
    rows = team.items.rows(dataset.items.ids)
    held = dataset.interactions
    known = held.take(rows[held.item] >= 0)
    return Dataset(dataset.users, team.items, replace(known, item=rows[known.item]))


def _weights(team: Team, folder: Path, validation: Validation) -> Weights:
    parts = [
        part
        for kernel in team.kernels
        for part in (kernel.history_factors, kernel.item_factors, kernel.prior)
    ]
    rows = [kernel.rows for kernel in team.kernels if kernel.rows is not None]
    return Weights(
        file=(folder / "model.safetensors").stat().st_size,
        memory=sum(part.nbytes for part in parts if part is not None) + sum(map(_bytes, rows)),
        rows=sum(each.nnz for each in rows),
        metric=validation.measure(team.scores),
    )


def _bytes(rows: sp.csr_matrix) -> int:
    return int(rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes)


def _in_both(one: Team, other: Team, validation: Validation) -> float:
    """Return the share of the best items that both teams put into a user's list."""
    lists = [validation.top(each.scores(validation.histories)) for each in (one, other)]
    same = [len(np.intersect1d(a, b)) / len(a) for a, b in zip(*lists, strict=True)]
    return float(np.mean(same)) if same else 1.0
