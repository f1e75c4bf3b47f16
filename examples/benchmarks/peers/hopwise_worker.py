"""Trains models of hopwise step by step; runs under a Python that has hopwise and knows no kgrec.

Reads one JSON command a line: `{"start": {settings}}` makes a model, `{"advance": n}` trains n
epochs and writes `user.npy` and `item.npy` into the folder, which the one who asked measures.
Answers with one JSON line each. It never sees the test part but for the ids in it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
import types
import warnings
from pathlib import Path
from typing import Any


def stand_in() -> None:
    """Put small modules in place of compiled ones that need another release of torch.

    dgl's samplers (`dgl.graphbolt`) are not used by these models; of torch_scatter they use two
    functions, which plain torch can do.
    """
    import torch

    sys.modules["dgl.graphbolt"] = types.ModuleType("dgl.graphbolt")

    def scatter_mean(src: Any, index: Any, dim: int = 0, dim_size: int | None = None) -> Any:
        size = int(index.max()) + 1 if dim_size is None else dim_size
        total = src.new_zeros(size, *src.shape[1:]).index_add(dim, index, src)
        count = torch.bincount(index, minlength=size).clamp(min=1).to(src.dtype)
        return total / count.view(-1, *[1] * (src.dim() - 1))

    def scatter_softmax(src: Any, index: Any, dim: int = 0) -> Any:
        size = int(index.max()) + 1
        top = src.new_full((size, *src.shape[1:]), -torch.inf)
        where = index.view(-1, *[1] * (src.dim() - 1)).expand_as(src)
        top = top.scatter_reduce(dim, where, src, "amax")
        grown = (src - top[index]).exp()
        total = src.new_zeros(size, *src.shape[1:]).index_add(dim, index, grown)
        return grown / total[index]

    scatter = types.ModuleType("torch_scatter")
    scatter.scatter_mean, scatter.scatter_softmax = scatter_mean, scatter_softmax
    sys.modules["torch_scatter"] = scatter


class Session:
    """One model at a time on one data set."""

    def __init__(self, folder: Path, model: str, seed: int) -> None:
        self.folder, self.name, self.seed = folder, model, seed

    def start(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Build data set, model and trainer with these settings."""
        from hopwise.config import Config
        from hopwise.data import create_dataset, data_preparation
        from hopwise.utils import get_model, get_trainer, init_seed

        begun = time.perf_counter()
        config = Config(self.name, self.folder.name, config_dict=self._config(settings))
        init_seed(config["seed"], config["reproducibility"])
        self.train, _, _ = data_preparation(config, create_dataset(config))
        init_seed(config["seed"], config["reproducibility"])
        self.model = get_model(config["model"])(config, self.train.dataset).to(config["device"])
        if self.name == "LightGCN":
            use_symmetric_products(self.model)
        self.trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, self.model)
        self.epoch = 0
        ids = self.train.dataset.field2id_token
        names = {"user": ids["user_id"].tolist(), "item": ids["item_id"].tolist()}
        (self.folder / "ids.json").write_text(json.dumps(names))
        return {"seconds": time.perf_counter() - begun}

    def _config(self, settings: dict[str, Any]) -> dict[str, Any]:
        columns = {"inter": ["user_id", "item_id"]}
        if self.name != "LightGCN":
            columns["kg"] = ["head_id", "relation_id", "tail_id"]
            columns["link"] = ["item_id", "entity_id"]
        return {
            "data_path": str(self.folder.parent),
            "checkpoint_dir": str(self.folder / "saved"),
            "benchmark_filename": ["train", "valid", "test"],
            "load_col": columns,
            "kg_reverse_r": True,
            "seed": self.seed,
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
            "embedding_size": 64,
            "train_batch_size": 2048,
            **settings,
        }

    def advance(self, epochs: int) -> dict[str, Any]:
        """Train so many epochs more and write the vectors."""
        import numpy as np
        import torch

        begun = time.perf_counter()
        for _ in range(epochs):
            self.trainer._train_epoch(self.train, self.epoch, show_progress=False)
            self.epoch += 1
        seconds = time.perf_counter() - begun
        self.model.eval()
        with torch.no_grad():
            user, item = self._vectors()
        np.save(self.folder / "user.npy", user.numpy())
        np.save(self.folder / "item.npy", item[: self.model.n_items].numpy())
        return {"seconds": seconds, "epoch": self.epoch}

    def _vectors(self) -> tuple[Any, Any]:
        """Return vectors of users and items; KGIN without node dropout, as its authors score."""
        graph = getattr(self.model, "gcn", None)
        dropout = getattr(graph, "node_dropout_rate", 0.0)
        if graph is not None:
            graph.node_dropout_rate = 0.0
        user, item, *_ = self.model.forward()
        if graph is not None:
            graph.node_dropout_rate = dropout
        return user, item


def use_symmetric_products(model: Any) -> None:
    """Let LightGCN compute the same vectors by products that take a third of the time.

    Its adjacency is symmetric, so the gradient of a product is a product with the same matrix, in
    rows (CSR); torch transposes matrices in coordinates in every backward pass.

    Raises:
        ValueError: the vectors are not those of the model's own code.
    """
    import torch

    matrix = model.norm_adj_matrix.coalesce().to_sparse_csr()

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return matrix @ x

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            return matrix @ gradient

    def forward() -> Any:
        x = total = model.get_ego_embeddings()
        for _ in range(model.n_layers):
            x = Product.apply(x)
            total = total + x
        return torch.split(total / (model.n_layers + 1), [model.n_users, model.n_items])

    with torch.no_grad():
        for mine, own in zip(forward(), model.forward(), strict=True):
            if not torch.allclose(mine, own, rtol=1e-4, atol=1e-6):
                raise ValueError("LightGCN's vectors differ from those of hopwise's own code")
    model.forward = forward


def peak_memory() -> int:
    """Return the most memory this process has held, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    folder, model, seed, threads = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:5])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    sys.argv = sys.argv[:1]  # hopwise reads settings from the command line
    warnings.simplefilter("ignore")
    stand_in()
    import torch

    torch.set_num_threads(threads)
    import hopwise.quick_start  # noqa: F401 - imports all that is timed later

    logging.disable(logging.WARNING)
    session = Session(folder, model, seed)
    begun = time.process_time()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            answer = session.start(command["start"])
        else:
            answer = session.advance(command["advance"])
        answer |= {"cpu": time.process_time() - begun, "memory": peak_memory()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
