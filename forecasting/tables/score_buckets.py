"""Parts of the horizon that scores are kept by (column `bucket` of SCORES)."""

from __future__ import annotations

BUCKETS = ((1, 7), (8, 14), (15, 28), (29, 10_000))  # first and last period ahead
