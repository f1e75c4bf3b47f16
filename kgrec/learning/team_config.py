"""The settings of a team: its agents, joint training, and text encoder."""

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
from kgrec.learning.blending.rejection import RejectionConfig
from kgrec.learning.blending.search import SearchConfig
from kgrec.learning.blending.weights import CoordinatorConfig
from kgrec.learning.profile import ContextConfig, ProfileConfig
from kgrec.learning.registry import AGENTS, build_agent, check_names
from kgrec.progress import SILENT, Progress
from kgrec.text.models import SENTENCE_MODEL, content_key, resolve_transformer
from kgrec.training.optimisation import Schedule


class TogetherConfig(FrozenModel):
    """Joint training of agents; all other settings are those of the agents.

    Attributes:
        use: whether agents are trained jointly.
        agents: names of the agents to train jointly, where they are in the team: `collaborative`,
            `knowledge` and `sequential`. `linear` is solved in closed form, and the projection of
            `semantic` has its own schedule and held-out items.
        shares: α_k by name; None learns them on hidden items.
        agreement: weight of the divergence of each agent from the mixture.
        share_inputs: one table of item embeddings and one map of sentence vectors for all.
        embedding_dim: size of shared embeddings and projected sentence vectors.
        users: number of users in the common batch of a step, on which agents are compared.
        schedule: schedule of the training, in place of the agents' own schedules.
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
    """The agents of a team and how it is fitted.

    Attributes:
        agents: names from the registry.
        settings: settings of agents by name; others keep their defaults.
        coordinator: choice of the shares, and the gate.
        ranker: settings of the ranker.
        rejection: what disliked, skipped and low-valued items count.
        contexts: what device and scenario of a request add.
        profile: learning from declared values, for users without a history.
        seed: seed of all random generators.
        device: "cpu", or "cuda" for the GPU.
        together: joint training of agents.
        budget: time of the whole fit, in seconds or as text such as "10m": trainings end by then,
            however far they are, and what is left is for a search of the agents' settings on the
            validation part. None lets the validation part end the trainings, and searches none.
            Agents with a joint loss are not searched.
        search: settings of the search.
        refit: whether to fit again on training and validation part with the chosen settings.
        encoder: the sentence encoder: a folder, such as `kgrec train encoder` writes, the name of
            an installed model, or a hub id.
    """

    agents: tuple[str, ...] = Field(default=tuple(AGENTS), min_length=1)
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    coordinator: CoordinatorConfig = CoordinatorConfig()
    ranker: RankerConfig = RankerConfig()
    together: TogetherConfig = TogetherConfig()
    rejection: RejectionConfig = RejectionConfig()
    contexts: ContextConfig = ContextConfig()
    profile: ProfileConfig = ProfileConfig()
    seed: int = Field(default=2024, ge=0, lt=2**63)
    device: str = "cpu"
    budget: Annotated[float, BeforeValidator(seconds_of)] | None = None
    search: SearchConfig = SearchConfig()
    refit: bool = False
    encoder: str = SENTENCE_MODEL


def check_agents(config: TeamConfig) -> None:
    """Raise ConfigError for an unknown agent or an unknown setting of one."""
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
    """Return an identifier of the encoder's content, since a folder may hold another model now."""
    found = resolve_transformer(config.encoder)
    return f"{found.source} {found.name} {content_key(found)}"


def encoder_of(
    config: TeamConfig, *, cache_dir: Path | None = None, progress: Progress = SILENT
) -> Encode:
    """Return the text encoder of a team; it is loaded when it is first used.

    Args:
        cache_dir: folder of the vector cache; None caches none.

    Raises:
        ModelError: the folder that the settings name holds no model.
    """
    resolve_transformer(config.encoder)

    def encode(texts: Sequence[str]) -> FloatArray:
        # Imports transformers, which not every team needs.
        from kgrec.text.encoder import encode as encode_texts

        return encode_texts(
            texts,
            model=config.encoder,
            cache_dir=cache_dir,
            device=config.device,
            progress=progress,
        )

    return encode
