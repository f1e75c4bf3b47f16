"""What a ranker is asked: which users, and which items are right for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kgrec.data.dataset import IntArray, Interactions
from kgrec.errors import ConfigError, DataError
from kgrec.evaluation.metrics import Values, user_metrics
from kgrec.evaluation.ranking import hits_of


@dataclass(frozen=True)
class Questions:
    """The users that are asked for, and what is right for them.

    Attributes:
        users: rows, int64 [B].
        truth: nonzero where an item is right, CSR [B, I].
        eligible: users who have something to find; more than B where a sample is asked.
        repeated: interactions left out, since the user had had the item before.
    """

    users: IntArray
    truth: sp.csr_matrix
    eligible: int
    repeated: int

    @classmethod
    def of(
        cls,
        seen: sp.csr_matrix,
        test: Interactions,
        *,
        max_users: int | None = None,
        seed: int = 2024,
    ) -> Questions:
        """Ask for the test interactions that are not seen.

        Args:
            seen: items that are not ranked for a user, CSR [U, I].
            test: interactions to find.
            max_users: where more users have something to find, so many are drawn from them.
            seed: of the draw.

        Raises:
            DataError: no test user has anything to find.
        """
        truth = test.matrix(*seen.shape)
        repeated = sp.csr_matrix(truth.multiply(seen != 0))
        truth = sp.csr_matrix(truth - repeated)
        truth.eliminate_zeros()
        users = np.flatnonzero(np.diff(truth.indptr)).astype(np.int64)
        if not len(users):
            raise DataError(
                "no test user has an item to find that is not seen before",
                remedy="Test on interactions that stand in no other part.",
            )
        eligible = len(users)
        if max_users is not None and eligible > max_users:
            drawn = np.random.default_rng(seed).choice(users, max_users, replace=False)
            users = np.sort(drawn)
        return cls(users, truth[users], eligible, int(repeated.nnz))

    def __len__(self) -> int:
        return len(self.users)

    @property
    def num_right(self) -> IntArray:
        """How many items are right for each user, int64 [B]."""
        return np.asarray(np.diff(self.truth.indptr), dtype=np.int64)

    def values(self, items: IntArray, ks: Sequence[int]) -> dict[int, dict[str, Values]]:
        """Measure lists of items: `k` to metric to one value a user, float64 [B].

        Args:
            items: item rows of each user's list, best first, int64 [B, >= max(ks)], -1 for none.

        Raises:
            ConfigError: a `k` is not positive.
        """
        if not ks or min(ks) < 1:
            raise ConfigError("k must be at least 1", value=list(ks))
        hits = hits_of(items, self.truth)
        return {k: user_metrics(hits, self.num_right, k) for k in ks}
