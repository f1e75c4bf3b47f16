"""Which weights of a transformer learn, and how what they learned becomes plain weights again."""

from __future__ import annotations

from typing import Any

from torch import nn

from kgrec.errors import ConfigError
from kgrec.training.encoder.config import EncoderConfig


def adapt(network: Any, config: EncoderConfig) -> nn.ParameterDict:
    """Freeze a transformer but for what shall learn; return that, by name.

    `lora` adds low-rank maps to all linear ones (Hu et al. 2022, "LoRA"), which begin as zero;
    `top` thaws the last layers.

    Raises:
        ConfigError: peft is not installed, or the transformer has no layers to thaw.
    """
    network.requires_grad_(False)
    if config.adapt == "lora":
        _add_low_rank(network, config.rank)
    else:
        for layer in _layers(network)[-config.layers :]:
            layer.requires_grad_(True)
    learning = [(name, each) for name, each in network.named_parameters() if each.requires_grad]
    return nn.ParameterDict({name.replace(".", "/"): each for name, each in learning})


def merge(network: Any) -> None:
    """Add the low-rank maps to the linear ones they belong to, in place; others are left alone."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if hasattr(child, "get_base_layer"):
                child.merge()
                setattr(parent, name, child.get_base_layer())
    network.requires_grad_(False)


def _add_low_rank(network: Any, rank: int) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ConfigError(
            "low-rank adaptation needs peft, which is not installed",
            value="lora",
            remedy="pip install 'kgrec[encoder]', or adapt the top layers: --adapt top.",
        ) from None
    lora = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=_linear_maps(network)
    )
    inject_adapter_in_model(lora, network)


def _linear_maps(network: Any) -> list[str]:
    """Return the names of the linear maps inside the layers; a pooler is not used."""
    inside = {id(each) for layer in _layers(network) for each in layer.modules()}
    named = network.named_modules()
    return [name for name, each in named if isinstance(each, nn.Linear) and id(each) in inside]


def _layers(network: Any) -> list[nn.Module]:
    lists = [list(each) for each in network.modules() if isinstance(each, nn.ModuleList)]
    if not lists:
        raise ConfigError(
            "the transformer has no list of layers",
            value=type(network).__name__,
            remedy="Choose another base model.",
        )
    return max(lists, key=len)
