"""Gradient compression between two processes: bytes and milliseconds a step, and what is learned.

    torchrun --nproc_per_node 2 examples/benchmarks/compression.py [--items 8000] [--dim 64]
        [--steps 120] [--megabits 100]

A table of item embeddings learns from histories as the agents do: all items in the softmax, the
gradient of the whole table shared. Bytes are counted in a communication hook around each kind, as
handed to the collectives by one process. `--megabits` adds the time that those bytes take on a link
of that bandwidth, for two processes on one machine share memory: a kind pays on a link where its
sum is the smallest.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from kgrec.training.workers import Compression, Workers, joined, leave

KINDS: tuple[Compression, ...] = ("none", "powersgd", "topk")
WARM = 4
"""Steps that are not counted: torch orders its buckets anew, and hooks begin to compress."""


class Counted:
    """Counts the bytes that a process hands to the collectives of torch.distributed."""

    def __init__(self) -> None:
        self.bytes = 0
        for name in ("all_reduce", "all_gather", "all_gather_into_tensor"):
            self._wrap(name)

    def _wrap(self, name: str) -> None:
        inner = getattr(dist, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            tensors = [each for each in (*arguments, *named.values()) if isinstance(each, Tensor)]
            # What is gathered into comes first; what is sent is last.
            self.bytes += tensors[-1].numel() * tensors[-1].element_size()
            return inner(*arguments, **named)

        setattr(dist, name, counted)


def learn(workers: Workers, options: argparse.Namespace, counted: Counted) -> str:
    """Train with one kind of compression; return a line about it."""
    torch.manual_seed(0)
    model = nn.Embedding(options.items, options.dim)
    nn.init.normal_(model.weight, std=0.1)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    draw = torch.Generator().manual_seed(workers.rank)

    def loss_of_step() -> Tensor:
        # A history has ten items of one taste, and the next one is of the same taste.
        mine = torch.randint(options.items // 16, (options.users, 11), generator=draw) * 16
        mine += torch.randint(16, (options.users, 1), generator=draw)
        query = model.weight[mine[:, :10]].mean(dim=1)  # [B, D]
        return nn.functional.cross_entropy(query @ model.weight.T * 10.0, mine[:, 10])

    loss = workers.parallel(model, loss_of_step)
    begun = time.perf_counter()
    for step in range(options.steps):
        if step == WARM:
            counted.bytes, begun = 0, time.perf_counter()
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
    each = (time.perf_counter() - begun) / (options.steps - WARM)
    sent = counted.bytes / (options.steps - WARM)
    if workers.compression == "none":  # torch averages in its own reducer, which is not counted
        sent = model.weight.numel() * model.weight.element_size()
    link = sent * 8 / (options.megabits * 1e6)
    return (
        f"{workers.compression:9} {sent / 1e6:8.3f} MB a step  {each * 1e3:7.1f} ms here  "
        f"{(each + link) * 1e3:8.1f} ms at {options.megabits:g} Mbit/s  loss {value.item():.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=8_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--users", type=int, default=128, help="histories in a step, a process")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--megabits", type=float, default=100.0)
    options = parser.parse_args()
    counted = Counted()
    with joined() as workers:
        for kind in KINDS:
            line = learn(replace(workers, compression=kind), options, counted)
            if workers.first:
                print(line, flush=True)
    leave()


if __name__ == "__main__":
    main()
