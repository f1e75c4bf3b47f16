"""The collaborative agent: light graph convolution with items as histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from pydantic import Field

from kgrec.data.dataset import FloatArray
from kgrec.learning.agent import FitContext
from kgrec.learning.knowledge_features import HOP_DECAY, cosine_rows, degree_features
from kgrec.learning.link_prediction.mean import compressed, mean_kernel
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.learning.link_prediction.problem import HiddenEdges, HiddenEdgesConfig, UntilItStands
from kgrec.model.folding.formulas import ConvolutionFormula
from kgrec.model.folding.inductive import Inductive
from kgrec.model.kernel import Kernel, Source

_FEW = 100_000
_NETWORKS = 3
"""With at most so many interactions, scores are the mean of so many networks by default."""


class CollaborativeConfig(HiddenEdgesConfig):
    """Settings of the collaborative agent.

    Attributes:
        ensemble: as of all agents of this problem. None means one until the team is chosen, and
            three from then on where the agent has a share and interactions are few.
        row_size: number of the largest knowledge cosines that are kept for each candidate.
        hop_decay: weight of features from links in the cosine; 0 for none.
        kappa: as of all agents of this problem; on small catalogues .5 to 4 are alike, on large
            ones of which most items have few interactions a smaller one learns these by heart.
    """

    row_size: int = Field(default=50, ge=1)
    hop_decay: float = Field(default=HOP_DECAY, ge=0, le=1)
    kappa: float = Field(default=4.0, gt=0)
    schedule: UntilItStands = UntilItStands()


class CollaborativeAgent:
    """Learns item vectors by predicting supervision edges of a history from its message edges.

    There are no user vectors; a history is the weighted sum of its items. An item whose edges are
    all hidden in a step is trained as a cold item.
    """

    name: ClassVar[str] = "collaborative"
    Config: ClassVar[type[CollaborativeConfig]] = CollaborativeConfig
    shares_batches: ClassVar[bool] = True

    def __init__(self, config: CollaborativeConfig | None = None) -> None:
        self.config = config or CollaborativeConfig()

    def fit(self, context: FitContext) -> Kernel:
        """Train the network and return its kernel; see `Agent.fit`."""
        return self.problem(context).fit()

    def averaged(self, kernel: Kernel, context: FitContext) -> Kernel:
        """Return the mean of a kernel and those of further networks; see `agent.Averaging`."""
        few = len(context.train.interactions) <= _FEW
        if not few or self.config.ensemble is not None or kernel.inductive is None:
            return kernel
        problem = self.problem(context)
        mean = problem.mean([kernel, *problem.further(kernel, _NETWORKS - 1)])
        return replace(mean, chosen={**mean.chosen, "ensemble": _NETWORKS})

    def problem(self, context: FitContext) -> HiddenEdges:
        """Return the training problem of this data set."""
        config = self.config
        # Links help cold items, through the cosine; as embeddings they cost accuracy and time.
        features = degree_features(context.train, 0.0)
        # Gradients are averaged among processes only where they are dense.
        alone = context.workers.world == 1
        row_wise = alone and config.sample.applies(len(context.train.interactions))

        def build(tau: float) -> HistoryNetwork:
            return HistoryNetwork(
                context.train.num_items,
                features,
                embedding_dim=config.embedding_dim,
                tau=tau,
                history_power=config.history_power,
                device=context.device,
                row_wise=row_wise,
            )

        cosine = cosine_rows(context.train, config.row_size, decay=config.hop_decay)
        reads: tuple[Source, ...] = ("interactions",)
        if features is not None:
            reads = ("interactions", "facts")
        return FeatureEdges(
            context, config, name=self.name, build=build, cosine=cosine, reads=reads
        )


class FeatureEdges(HiddenEdges):
    """The problem of hidden edges, with the formula of a cold item: its knowledge features."""

    @torch.no_grad()
    def inductive(self, network: HistoryNetwork) -> Inductive | None:
        """Return the formula; None where the network reads texts too, by a shared map."""
        config = self.config
        if network.inputs is not None or not isinstance(config, CollaborativeConfig):
            return None
        scale = network.cosine_scale(self.graph)
        return ConvolutionFormula(
            embeddings=None if network.feature is None else network.feature.cpu().numpy().copy(),
            tau=network.tau,
            cold_prior=float(network.cold_bias),
            row_size=config.row_size,
            decay=config.hop_decay,
            cold_weight=0.0 if network.cosine_weight is None else float(network.cosine_weight[1]),
            scale=None if scale is None else scale.cpu().numpy().copy(),
            least=None if self.by_column is None else _least_kept(self.by_column, config.row_size),
            size=network.item.shape[1],
        )

    def mean(self, kernels: Sequence[Kernel]) -> Kernel:
        """Return the mean in as many dimensions as one network has, with its formula."""
        kernel, projection = compressed(mean_kernel(kernels), self.config.embedding_dim)
        formulas = [k.inductive for k in kernels if isinstance(k.inductive, ConvolutionFormula)]
        if projection is None or len(formulas) < len(kernels):
            return kernel
        first, tables = formulas[0], [f.embeddings for f in formulas if f.embeddings is not None]
        scales = [f.scale for f in formulas if f.scale is not None]
        mean = replace(
            first,
            embeddings=np.hstack(tables) if tables else None,
            tau=first.tau * len(formulas),
            cold_prior=float(np.mean([f.cold_prior for f in formulas])),
            cold_weight=float(np.mean([f.cold_weight for f in formulas])),
            scale=np.mean(scales, axis=0, dtype=np.float32) if scales else None,
            projection=projection,
        )
        return replace(kernel, inductive=mean)


def _least_kept(cosine: sp.csc_matrix, size: int) -> FloatArray:
    """Return the smallest cosine of each candidate that has as many as are kept, else 0, [I]."""
    least = np.zeros(cosine.shape[1], dtype=np.float32)
    for column in np.flatnonzero(np.diff(cosine.indptr) >= size).tolist():
        least[column] = cosine.data[cosine.indptr[column] : cosine.indptr[column + 1]].min()
    return least
