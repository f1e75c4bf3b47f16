"""The adaptation as a whole, on the packaged encoder cut to two layers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from shelves import ITEMS, SHELVES, catalogue, quick, small_model, texts
from torch import Tensor

from kgrec.errors import ConfigError, DataError, ModelError
from kgrec.learning.encoder.adaptation import Adapted, Work, adapt_encoder, save_encoder
from kgrec.learning.encoder.objective import TextCatalogue
from kgrec.progress import SilentProgress, Task
from kgrec.text.encoder import encode, load_transformer
from kgrec.text.models import ModelSource, content_key, resolve_transformer


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def adapted(base: Path) -> Adapted:
    return adapt_encoder(catalogue(), quick(base))


def state(network: object) -> dict[str, Tensor]:
    return network.state_dict()  # type: ignore[attr-defined, no-any-return]


def original(base: Path) -> dict[str, Tensor]:
    return state(load_transformer(resolve_transformer(str(base)), "cpu")[1])


def margin(model: str) -> float:
    """Return how much more alike texts of a shelf are than texts of two."""
    vectors = encode(texts(), model=model)
    cosine = vectors @ vectors.T
    same = np.arange(ITEMS)[:, None] % SHELVES == np.arange(ITEMS)[None, :] % SHELVES
    np.fill_diagonal(cosine, np.nan)
    return float(np.nanmean(cosine[same]) - np.nanmean(cosine[~same]))


def test_losses_fall_and_held_out_items_find_their_partners(adapted: Adapted) -> None:
    for phase in adapted.phases.values():
        first, last = phase.losses
        assert last < first
        assert phase.before is not None
        assert phase.after is not None
        assert phase.after > phase.before
        assert phase.steps > 0
        assert phase.texts_per_second > 0


def test_only_linear_maps_of_the_layers_move_by_low_rank(adapted: Adapted, base: Path) -> None:
    before, after = original(base), state(adapted.network)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    expected = {
        name
        for name, weight in before.items()
        if "encoder.layer" in name and name.endswith("weight") and weight.dim() == 2
    }
    assert moved == expected
    change = (after["encoder.layer.1.output.dense.weight"]).double()
    change -= before["encoder.layer.1.output.dense.weight"].double()
    values = torch.linalg.svdvals(change)
    assert float(values[16:].max()) < 1e-4 * float(values[0])


def test_only_the_last_layer_moves_when_it_alone_is_thawed(base: Path) -> None:
    config = quick(base, adapt="top", layers=1, masked=None)
    adapted = adapt_encoder(catalogue(), config)
    before, after = original(base), state(adapted.network)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("encoder.layer.1.") for name in moved)
    assert "encoder.layer.1.output.dense.weight" in moved


def test_the_folder_is_found_by_the_resolver_and_gives_the_same_vectors(
    adapted: Adapted, base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "encoder"
    save_encoder(adapted, folder, {"base": "small"})
    assert resolve_transformer(str(folder)).source is ModelSource.PATH
    assert json.loads((folder / "kgrec.json").read_text()) == {"base": "small"}
    some = texts()[:6]
    tokens = adapted.tokenizer(some, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = adapted.network(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    mean = (hidden * mask).sum(1) / mask.sum(1)
    expected = torch.nn.functional.normalize(mean, dim=1).numpy()
    found = encode(some, model=str(folder))
    assert np.sum(found * expected, axis=1).min() > 0.999
    assert margin(str(folder)) > 3 * margin(str(base))


def test_the_cache_knows_two_models_of_one_folder_apart(
    adapted: Adapted, base: Path, tmp_path: Path
) -> None:
    folder, cache = tmp_path / "encoder", tmp_path / "cache"
    _, network = load_transformer(resolve_transformer(str(base)), "cpu")
    save_encoder(replace(adapted, network=network), folder, {})
    key = content_key(resolve_transformer(str(folder)))
    before = encode(texts(), model=str(folder), cache_dir=cache)
    save_encoder(adapted, folder, {})
    assert content_key(resolve_transformer(str(folder))) != key
    after = encode(texts(), model=str(folder), cache_dir=cache)
    assert np.abs(before - after).max() > 0.01
    assert len(list(cache.glob("*.sqlite"))) == 2


class Killed(Exception):
    pass


class KillingProgress(SilentProgress):
    """Ends a training of this name after so many steps, as a signal would."""

    def __init__(self, name: str, steps: int) -> None:
        self._name, self._left = name, steps

    def task(self, name: str, total: float | None = None):  # type: ignore[no-untyped-def]
        silent = super().task(name, total)
        return self._counted(silent) if name == self._name else silent

    def _counted(self, silent):  # type: ignore[no-untyped-def]
        from contextlib import contextmanager

        outer = self

        class Counting:
            def advance(self, steps: float = 1) -> None:
                outer._left -= int(steps)

            def describe(self, text: str) -> None:
                if outer._left < 0:
                    raise Killed

        @contextmanager
        def block():  # type: ignore[no-untyped-def]
            task: Task = Counting()
            yield task

        return block()


@pytest.mark.parametrize(("phase", "steps"), [("masked", 5), ("contrast", 7)])
def test_a_killed_run_that_goes_on_ends_with_the_same_weights(
    adapted: Adapted, base: Path, tmp_path: Path, phase: str, steps: int
) -> None:
    work = Work(tmp_path / "work", "this", save_every=0.0)
    with pytest.raises(Killed):
        adapt_encoder(catalogue(), quick(base), work=work, progress=KillingProgress(phase, steps))
    again = adapt_encoder(catalogue(), quick(base), work=work)
    expected = state(adapted.network)
    for name, weight in state(again.network).items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=0)


def test_the_state_of_another_run_is_refused(base: Path, tmp_path: Path) -> None:
    config = quick(base, contrast=None)
    adapt_encoder(catalogue(), config, work=Work(tmp_path, "this", save_every=0.0))
    with pytest.raises(ModelError, match="other data or settings"):
        adapt_encoder(catalogue(), config, work=Work(tmp_path, "that", save_every=0.0))


def test_a_budget_shortens_the_training(base: Path, tmp_path: Path) -> None:
    work = Work(tmp_path, budget=0.01)
    short = adapt_encoder(catalogue(), quick(base, contrast=None), work=work)
    assert (tmp_path / "masked.plan.safetensors").is_file()
    assert short.phases["masked"].steps <= 2


def test_a_contrast_without_pairs_is_an_error(base: Path) -> None:
    with pytest.raises(DataError, match="neither users nor facts"):
        adapt_encoder(TextCatalogue(texts()), quick(base))
    nothing = sp.csr_matrix((ITEMS, ITEMS), dtype=np.float32)
    with pytest.raises(DataError, match="no text"):
        adapt_encoder(TextCatalogue([""] * ITEMS, nothing), quick(base))


def test_a_base_that_hides_no_words_is_an_error(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(base, folder)
    path = folder / "tokenizer_config.json"
    told = json.loads(path.read_text())
    del told["mask_token"]
    path.write_text(json.dumps(told | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="has no mask token"):
        adapt_encoder(catalogue(), quick(folder))
