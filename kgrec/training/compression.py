"""Communication hooks that compress gradients between processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

# Torch puts the parameters into buckets anew after the first step, so nothing is kept before.
_BEGIN = 2


def register(
    step: DistributedDataParallel, kind: str, *, world: int, density: float, matrix_rank: int
) -> None:
    """Register the communication hook that compresses a module's gradients.

    `powersgd` is that of Vogels et al. 2019 in torch's own form; `topk` sends the largest entries
    and keeps the others for the next step (Aji and Heafield 2017; Stich et al. 2018).

    Args:
        step: the module whose gradients are averaged.
        kind: `powersgd`, `topk`, or `none`, which registers nothing.
        world: number of processes.
        density: share of the entries that `topk` sends.
        matrix_rank: rank of the approximation that `powersgd` sends.
    """
    if kind == "powersgd":
        low_rank = powerSGD_hook.PowerSGDState(
            process_group=None, matrix_approximation_rank=matrix_rank, start_powerSGD_iter=_BEGIN
        )
        step.register_comm_hook(low_rank, powerSGD_hook.powerSGD_hook)
    elif kind == "topk":
        # Torch reads a hook's annotations and does not take them as strings.
        state = TopKCompression(density, world)
        step.register_comm_hook(state, lambda state, bucket: top_k_hook(state, bucket))


class TopKCompression:
    """The state of `top_k_hook` between steps.

    Args:
        density: share of the entries that is sent.
        world: number of processes.
    """

    def __init__(self, density: float, world: int) -> None:
        self.density, self.world = density, world
        self.unsent: dict[int, Tensor] = {}
        self.steps = 0

    def select(self, bucket: int, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return positions and values to send of a gradient, [E]; the rest is kept for later.

        Args:
            bucket: number of the bucket, whose unsent rest is added first.
        """
        waiting = self.unsent.get(bucket)
        whole = gradient if waiting is None else gradient + waiting
        number = max(1, int(len(whole) * self.density))
        position = whole.abs().topk(number, sorted=False).indices
        value = whole[position]
        rest = whole.clone()
        rest[position] = 0.0
        self.unsent[bucket] = rest
        return position, value


def top_k_hook(state: TopKCompression, bucket: Any) -> torch.futures.Future[Tensor]:
    """Share the largest entries of a bucket of gradients; all processes send equally many.

    Args:
        bucket: torch.distributed.GradBucket; its type stands in no public stub.
    """
    gradient = bucket.buffer()
    begun = state.steps >= _BEGIN
    state.steps += bucket.is_last()
    if not begun:
        dist.all_reduce(gradient)
        return _done(gradient / state.world)
    position, value = state.select(bucket.index(), gradient)
    position = position.to(torch.int32)  # half the bytes of what topk returns
    positions = [torch.empty_like(position) for _ in range(state.world)]
    values = [torch.empty_like(value) for _ in range(state.world)]
    dist.all_gather(positions, position)
    dist.all_gather(values, value)
    mean = torch.zeros_like(gradient)
    for where, part in zip(positions, values, strict=True):
        mean.index_add_(0, where, part)
    return _done(mean / state.world)


def _done(gradient: Tensor) -> torch.futures.Future[Tensor]:
    devices: list[int | str | torch.device] | None = [gradient.device] if gradient.is_cuda else None
    future: torch.futures.Future[Any] = torch.futures.Future(devices=devices)
    future.set_result(gradient)
    return future
