"""The optimisers of a model: Adam, for parameters with dense and with row-wise gradients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from kgrec.training.schedule import Schedule


def optimisers_of(
    model: nn.Module, schedule: Schedule, row_wise: Sequence[nn.Parameter] = ()
) -> dict[str, torch.optim.Optimizer]:
    """Return the optimisers by name.

    Args:
        row_wise: parameters whose gradient is sparse: only the rows that a step touched move,
            and their weight does not decay.
    """
    rows = {id(parameter) for parameter in row_wise}
    dense = [parameter for parameter in model.parameters() if id(parameter) not in rows]
    made: dict[str, torch.optim.Optimizer] = {}
    if dense:
        made["adam"] = torch.optim.AdamW(
            dense, lr=schedule.rate, betas=schedule.betas, weight_decay=schedule.weight_decay
        )
    if rows:
        made["rows"] = torch.optim.SparseAdam(
            list(row_wise), lr=schedule.rate, betas=schedule.betas
        )
    return made


def clip_gradient(parameters: Iterable[nn.Parameter], length: float) -> float:
    """Shorten the gradient of all parameters together to a length; return what it was."""
    values = [_values(parameter) for parameter in parameters if parameter.grad is not None]
    if not values:
        return 0.0
    norm = float(torch.linalg.vector_norm(torch.stack([value.norm() for value in values])))
    if norm > length:
        for value in values:
            value.mul_(length / norm)
    return norm


def _values(parameter: nn.Parameter) -> Tensor:
    gradient = parameter.grad
    assert gradient is not None  # noqa: S101 - the caller looked
    if gradient.is_sparse:
        parameter.grad = gradient.coalesce()
        return parameter.grad._values()
    return gradient
