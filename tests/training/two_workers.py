"""Run by torchrun in `test_workers.py`: a small regression, trained by several processes."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast, get_args

import torch
from torch.distributed import distributed_c10d

from kgrec.errors import DataError
from kgrec.training.workers import Compression, joined, leave


def main(compression: Compression, folder: Path) -> None:
    distributed_c10d.default_pg_timeout = timedelta(seconds=1)
    with joined(compression) as joint:
        workers = replace(joint, matrix_rank=2)
        torch.manual_seed(0)
        model = torch.nn.Linear(20, 30)
        inputs = torch.randn(64, 20)
        outputs = inputs @ torch.randn(20, 30)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        rows = torch.arange(64)[workers.rank :: workers.world]

        def squares() -> torch.Tensor:
            return (model(inputs[rows]) - outputs[rows]).square().mean()

        loss = workers.parallel(model, squares)
        losses = []
        for _ in range(40):
            optimiser.zero_grad()
            value = loss()
            value.backward()
            optimiser.step()
            with torch.no_grad():
                losses.append(float((model(inputs) - outputs).square().mean()))
        ranks = workers.once(lambda: slowly(workers.rank))
        try:
            workers.once(refuse)
        except DataError as error:
            said = error.what
        answer = {"losses": losses, "weight": model.weight.tolist(), "rank": ranks, "said": said}
        (folder / f"{workers.rank}.json").write_text(json.dumps(answer), encoding="utf-8")


def slowly(answer: int) -> int:
    """Answer later than torch would have a process wait by itself."""
    time.sleep(2)
    return answer


def refuse() -> None:
    raise DataError("the first process found nothing")


if __name__ == "__main__":
    assert sys.argv[1] in get_args(Compression)
    main(cast(Compression, sys.argv[1]), Path(sys.argv[2]))
    leave()
