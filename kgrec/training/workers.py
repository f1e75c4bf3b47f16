"""Data-parallel training: ranks, the rows of each process, and the averaging of gradients.

Processes are started by `torchrun`; they communicate by gloo on processors and NCCL on GPUs, whose
all-reduce passes gradients around a ring. Gradients are averaged by torch's DistributedDataParallel
(Li et al. 2020), which a communication hook may compress.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

from kgrec.data.dataset import IntArray
from kgrec.errors import ConfigError, KGRecError

if TYPE_CHECKING:
    from torch import Tensor, nn


# Torch rebuilds the buckets after the first step, so residuals are kept from the step after only.
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


Compression = Literal["none", "powersgd", "topk"]
"""How gradients are made smaller: not at all, to a low rank, or to their largest entries."""

PATIENCE = timedelta(days=1)
"""How long processes wait for the first while it does something alone, such as to learn agents
together; torch's own limits are 30 minutes, and 10 on GPUs. One that ends is not waited for:
torchrun ends the others with it."""

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """The processes that train together, as one of them sees them.

    Attributes:
        rank: of this process, from 0.
        world: how many there are.
        compression: of the gradients on their way.
        density: share of the entries that `topk` sends.
        matrix_rank: rank to which `powersgd` takes a gradient.
    """

    rank: int = 0
    world: int = 1
    compression: Compression = "none"
    density: float = 0.1
    matrix_rank: int = 8

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def share(self, rows: IntArray) -> IntArray:
        """Return the rows of a batch that are this process's."""
        return rows[self.rank :: self.world]

    def once(self, work: Callable[[], T]) -> T:
        """Do something in the first process alone, and return or raise the same in all."""
        if self.world == 1:
            return work()
        import torch.distributed as dist

        answer: list[Any] = [None, None]
        if self.first:
            try:
                answer[0] = work()
            except KGRecError as error:
                answer[1] = error
        dist.broadcast_object_list(answer, src=0)
        if answer[1] is not None:
            raise answer[1]
        result: T = answer[0]
        return result

    def parallel(
        self, model: nn.Module, loss_of_step: Callable[[], Tensor]
    ) -> Callable[[], Tensor]:
        """Return a loss whose gradients are the mean over all processes.

        Args:
            model: whose parameters the loss depends on; they become those of the first process.
            loss_of_step: the loss of this process's share of a step.
        """
        if self.world == 1:
            return loss_of_step
        from torch.nn.parallel import DistributedDataParallel

        from kgrec.training.workers import register

        step = DistributedDataParallel(_step(model, loss_of_step))
        register(
            step,
            self.compression,
            world=self.world,
            density=self.density,
            matrix_rank=self.matrix_rank,
        )
        loss: Callable[[], Tensor] = step
        return loss


ALONE = Workers()


@contextmanager
def joined(compression: Compression = "none", *, device: str = "cpu") -> Iterator[Workers]:
    """Join the processes that `torchrun` has started; alone where it has started none.

    Raises:
        ConfigError: the environment of `torchrun` is not whole, or a process has no GPU.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield ALONE
        return
    import torch.distributed as dist

    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            "the processes cannot find each other",
            value=", ".join(missing),
            remedy="Start them with torchrun --nproc_per_node N -m kgrec.training ...",
        )
    dist.init_process_group(_backend(device), timeout=PATIENCE)
    try:
        yield Workers(dist.get_rank(), dist.get_world_size(), compression)
        if dist.is_initialized():
            dist.barrier()  # who leaves while another still reads from it ends with an abort
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dist.destroy_process_group()


def leave() -> None:
    """End one of several processes at once, when all is written; nothing where there is one.

    Threads of torch's process groups may outlive their owner while the interpreter shuts down,
    which aborts a process that has done all its work, once in some twenty times.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _backend(device: str) -> str:
    """Return the backend; where that is NCCL, make this process's GPU the current one."""
    if not device.startswith("cuda"):
        return "gloo"
    import torch

    number = int(os.environ.get("LOCAL_RANK", "0"))
    if number >= torch.cuda.device_count():
        raise ConfigError(
            "there is no GPU for this process",
            value=f"cuda:{number}",
            remedy="Start as many processes as there are GPUs, or use --device cpu.",
        )
    torch.cuda.set_device(number)  # from which NCCL sends what is no tensor
    return "nccl"


def _step(model: nn.Module, loss_of_step: Callable[[], Tensor]) -> nn.Module:
    from torch import nn

    class Step(nn.Module):
        """A step as a module, since gradients are shared at the end of a module's pass."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self) -> Tensor:
            return loss_of_step()

    return Step()
