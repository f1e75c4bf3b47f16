"""Which agents learn on one loss, and how; the learning is in `kgrec.agents.joint_training`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kgrec.config import FrozenModel
from kgrec.training.schedule import Schedule


class TogetherConfig(FrozenModel):
    """How agents learn together; what else they heed are their own settings.

    Attributes:
        use: False lets each learn on its own.
        agents: who learns together, of those that are in the team and predict hidden edges.
        shares: α_k by name; None learns them on the hidden edges.
        agreement: weight of what an agent pays for differing from the mixture.
        share_inputs: one table of item embeddings and one map of sentence vectors for all.
        embedding_dim: size of the embeddings and of the mapped sentence vectors of all of them.
        schedule: how long and how fast to learn.
    """

    use: bool = False
    agents: tuple[str, ...] = Field(default=("collaborative", "knowledge"), min_length=2)
    shares: dict[str, Annotated[float, Field(gt=0)]] | None = None
    agreement: float = Field(default=0.1, ge=0)
    share_inputs: bool = True
    embedding_dim: int = Field(default=128, ge=1)
    schedule: Schedule = Schedule()
