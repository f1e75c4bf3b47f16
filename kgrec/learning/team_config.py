"""The settings of a team: who is in it, who learns on one loss, and what encodes its texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from kgrec.config import FrozenModel, seconds_of
from kgrec.data.dataset import FloatArray
from kgrec.errors import ConfigError
from kgrec.learning.agent import Encode
from kgrec.learning.blending.ranker import RankerConfig
from kgrec.learning.blending.search import SearchConfig
from kgrec.learning.blending.weights import CoordinatorConfig
from kgrec.learning.profile import ProfileConfig
from kgrec.learning.registry import AGENTS, build_agent, check_names
from kgrec.progress import SILENT, Progress
from kgrec.text.models import SENTENCE_MODEL, content_key, resolve_transformer
from kgrec.training.optimisation import Schedule


class TogetherConfig(FrozenModel):
    """How agents learn together; all else are their own settings.

    Attributes:
        use: False lets each learn on its own.
        agents: names of those that learn together, where they are in the team: `collaborative`,
            `knowledge` and `sequential`. `linear` is solved in closed form, and the map of
            `semantic` has a rate of its own and stops by items that are kept from it alone.
        shares: α_k by name; None learns them on hidden items.
        agreement: weight of the divergence of each agent from the mixture.
        share_inputs: one table of item embeddings and one map of sentence vectors for all.
        embedding_dim: size of the embeddings and of the mapped sentence vectors where they are
            shared.
        users: in the common batch of a step, on which agents are compared.
        schedule: how long and how fast all of them learn, in place of their own schedules.
    """

    use: bool = False
    agents: tuple[str, ...] = Field(default=("collaborative", "knowledge"), min_length=2)
    shares: dict[str, Annotated[float, Field(gt=0)]] | None = None
    agreement: float = Field(default=0.1, ge=0)
    share_inputs: bool = True
    embedding_dim: int = Field(default=128, ge=1)
    users: int = Field(default=256, ge=1)
    schedule: Schedule = Schedule()


class TeamConfig(FrozenModel):
    """Who is in the team and how it learns.

    Attributes:
        agents: names from the registry.
        settings: settings of agents by name; what is not named keeps its default.
        profile: how what users declare is learned, for users without a history.
        seed: fixes every random draw.
        device: "cpu", or "cuda" for the GPU.
        together: which agents learn on one loss.
        budget: seconds, or text such as "10m", in which settings of the agents are searched on the
            validation part; it is the time of the whole fit. None searches none. Agents that
            learn on one loss are left out of it.
        search: how they are searched.
        refit: after choosing on the validation part, learn once more from train and validation.
        encoder: what texts are encoded with: a folder, such as `kgrec train encoder` writes, an
            installed model's name or a hub id.
    """

    agents: tuple[str, ...] = Field(default=tuple(AGENTS), min_length=1)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    coordinator: CoordinatorConfig = CoordinatorConfig()
    ranker: RankerConfig = RankerConfig()
    together: TogetherConfig = TogetherConfig()
    profile: ProfileConfig = ProfileConfig()
    seed: int = Field(default=2024, ge=0, lt=2**63)
    device: str = "cpu"
    budget: Annotated[float, BeforeValidator(seconds_of)] | None = None
    search: SearchConfig = SearchConfig()
    refit: bool = False
    encoder: str = SENTENCE_MODEL


def check_agents(config: TeamConfig) -> None:
    """Raise ConfigError for an agent, or a setting of one, that there is not."""
    together = config.together
    check_names([*config.agents, *config.settings, *(config.coordinator.weights or {})])
    check_names([*together.agents, *(together.shares or {})])
    for name, settings in config.settings.items():
        build_agent(name, settings)


def check_device(device: str) -> None:
    """Raise ConfigError unless torch can use the device."""
    if device == "cpu":
        return
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(
            "this machine or this installation of torch lacks the device",
            value=device,
            remedy="Use cpu, or install a torch that is built for the GPU.",
        ) from None


def encoder_content(config: TeamConfig) -> str:
    """Say what texts are encoded with: the same folder may hold another model by now."""
    found = resolve_transformer(config.encoder)
    return f"{found.source} {found.name} {content_key(found)}"


def encoder_of(
    config: TeamConfig, *, cache_dir: Path | None = None, progress: Progress = SILENT
) -> Encode:
    """Return the text encoder of a team; it is loaded when it is first used.

    Args:
        cache_dir: where vectors are kept; None keeps none.

    Raises:
        ModelError: the folder that the settings name holds no model.
    """
    resolve_transformer(config.encoder)

    def encode(texts: Sequence[str]) -> FloatArray:
        # The encoder brings transformers, which not every team asks for.
        from kgrec.text.encoder import encode as encode_texts

        return encode_texts(
            texts,
            model=config.encoder,
            cache_dir=cache_dir,
            device=config.device,
            progress=progress,
        )

    return encode
