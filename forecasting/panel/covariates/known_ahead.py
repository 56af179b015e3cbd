"""Covariates known ahead, as they were known at a cutoff: a plan that was made later is not seen.

Nothing is copied until a covariate that needs a mask is asked for, as a training cuts a panel thousands of times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Since = NDArray[np.int16] | NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class KnownAhead(Mapping[str, Values]):
    """Covariates by name, (n_series | 1, periods + horizon) each, as they were known after the first `periods` periods.

    present: present values, unmasked. since: (n_series | 1, width) count of known periods from which on the cell's
    value was known; a covariate without one was always known. zero: covariates that are 0 where nothing is known; of
    the others (prices, levels) the last known value is carried forward.
    """

    present: Mapping[str, Values]
    since: Mapping[str, Since]
    zero: frozenset[str]
    periods: int
    _masked: dict[str, Values] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Values:
        """The covariate with what was not known yet masked; made once."""
        if name not in self.since:
            return self.present[name]
        if name not in self._masked:
            self._masked[name] = self._mask(name)
        return self._masked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.present)

    def __len__(self) -> int:
        return len(self.present)

    def __contains__(self, name: object) -> bool:
        return name in self.present

    def first(self, periods: int, cut: int) -> KnownAhead:
        """As known after fewer periods, `cut` less than here: views."""
        values = {name: one[:, : one.shape[1] - cut] for name, one in self.present.items()}
        since = {name: one[:, : one.shape[1] - cut] for name, one in self.since.items()}
        return KnownAhead(values, since, self.zero, periods)

    def take(self, rows: NDArray[np.intp]) -> KnownAhead:
        """Of these series only."""
        values = {name: one if len(one) == 1 else one[rows] for name, one in self.present.items()}
        since = {name: one if len(one) == 1 else one[rows] for name, one in self.since.items()}
        return KnownAhead(values, since, self.zero, self.periods)

    def _mask(self, name: str) -> Values:
        """Only what lies ahead is masked: the value of a period that is over has been seen by then."""
        values, start = self.present[name], self.periods
        late = self.since[name][:, start:] > start
        if not late.any():
            return values
        masked = np.array(np.broadcast_to(values, (max(len(values), len(late)), values.shape[1])))
        ahead, late = masked[:, start:], np.broadcast_to(late, (len(masked), late.shape[1]))
        if name in self.zero:
            ahead[late] = 0
        else:
            for step in range(ahead.shape[1]):
                before = masked[:, start + step - 1]
                ahead[:, step] = np.where(late[:, step], before, ahead[:, step])
        return masked
