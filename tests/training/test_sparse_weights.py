from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from kgrec.training.sparse import (
    Pattern,
    inner_products,
    weighted_sum,
    weighted_sum_back,
)

ROW = np.array([0, 0, 1, 1, 1, 3])
COLUMN = np.array([0, 3, 0, 0, 4, 2])
SIZE = 4, 5
"""A place that stands twice, a row and a column without any."""

Product = Callable[[Tensor, Tensor, Tensor], Tensor]


@pytest.fixture
def pattern() -> Pattern:
    return Pattern.of(ROW, COLUMN, SIZE)


def values_and_gradients(made: Product, *inputs: Tensor) -> list[Tensor]:
    """Return the product, and its gradients by what it is made of."""
    leaves = [each.clone().requires_grad_() for each in inputs]
    product = made(*leaves)
    weights = torch.linspace(-1, 2, product.numel()).view_as(product)
    (product * weights).sum().backward()
    return [product.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def dense(weight: Tensor) -> Tensor:
    places = torch.from_numpy(ROW), torch.from_numpy(COLUMN)
    return torch.zeros(SIZE).index_put(places, weight, accumulate=True)


@pytest.mark.parametrize("name", ["inner products", "sum", "sum back"])
def test_products_and_gradients_are_those_of_the_dense_matrix(pattern: Pattern, name: str) -> None:
    torch.manual_seed(0)
    weight, left, right = torch.randn(6), torch.randn(4, 3), torch.randn(5, 3)
    row, column = torch.from_numpy(ROW), torch.from_numpy(COLUMN)
    if name == "inner products":
        found = values_and_gradients(lambda a, b: inner_products(pattern, a, b), left, right)
        expected = values_and_gradients(lambda a, b: (a @ b.T)[row, column], left, right)
    elif name == "sum":
        found = values_and_gradients(lambda w, b: weighted_sum(pattern, w, b), weight, right)
        expected = values_and_gradients(lambda w, b: dense(w) @ b, weight, right)
    else:
        found = values_and_gradients(lambda w, a: weighted_sum_back(pattern, w, a), weight, left)
        expected = values_and_gradients(lambda w, a: dense(w).T @ a, weight, left)
    assert len(found) == len(expected) == 3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_half_precision_comes_and_goes(pattern: Pattern) -> None:
    left, right = torch.randn(4, 3), torch.randn(5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = inner_products(pattern, left.bfloat16(), right.bfloat16())
        summed = weighted_sum(pattern, half, right.bfloat16())
    expected = dense((left.bfloat16().float() @ right.bfloat16().float().T)[ROW, COLUMN])
    torch.testing.assert_close(summed, expected @ right.bfloat16().float())
