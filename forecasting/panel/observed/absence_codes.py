"""Why a cell of the panel was not observed: one code a cell, which every reader of the history shares.

`Panel.y` is NaN exactly where the code is not 0. Where several reasons hold for a cell, the first of these counts:

1. quarantined: a row is there, but its quantity is not known;
2. not begun: before the first row with a known quantity, which may be a zero; or before the first sale, where the
   zeros before it are improbable for what sells since (an item that was launched; see `demand._begin`);
3. ended: its rows stopped longer ago than a gap may last (only where a missing row is unknown);
4. closed: its store did not trade, or the series itself did not, unless a row is missing (6);
5. out of stock: it could not be bought;
6. not delivered: the source writes its zeros as rows, and this row is missing.

A row that cannot be read is the strongest evidence that there was something to see, so it comes first. A closed day
comes before a stock-out, since nothing is lost to a stock-out while the store is closed; a known cause comes before
"not delivered", which only says that a row is missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OBSERVED, NOT_BEGUN, CLOSED, OUT_OF_STOCK, QUARANTINED, NOT_DELIVERED, ENDED = range(7)
REASONS = {
    OBSERVED: "observed",
    NOT_BEGUN: "not begun",
    CLOSED: "closed",
    OUT_OF_STOCK: "out of stock",
    QUARANTINED: "quarantined",
    NOT_DELIVERED: "not delivered",
    ENDED: "ended",
}
Codes = NDArray[np.uint8]


def counts(codes: Codes) -> dict[str, int]:
    """Number of unobserved cells by reason, of the reasons that occur."""
    found = np.bincount(codes.ravel(), minlength=len(REASONS))
    return {name: int(found[code]) for code, name in REASONS.items() if code != OBSERVED and found[code]}
