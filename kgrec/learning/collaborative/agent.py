"""The collaborative agent: light graph convolution with items as histories."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from kgrec.learning.agent import FitContext
from kgrec.learning.knowledge_features import HOP_DECAY, cosine_rows, degree_features
from kgrec.learning.link_prediction.network import HistoryNetwork
from kgrec.learning.link_prediction.problem import HiddenEdges, HiddenEdgesConfig
from kgrec.model.kernel import Kernel, Source


class CollaborativeConfig(HiddenEdgesConfig):
    """Settings of the collaborative agent.

    Attributes:
        row_size: number of the largest knowledge cosines that are kept for each candidate.
        hop_decay: weight of features from links in the cosine; 0 for none.
    """

    row_size: int = Field(default=50, ge=1)
    hop_decay: float = Field(default=HOP_DECAY, ge=0, le=1)


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
        return HiddenEdges(context, config, name=self.name, build=build, cosine=cosine, reads=reads)
