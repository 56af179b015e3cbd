"""What overrides were worth: errors of what people said beside those of the forecast that they changed.

Forecast value added (Gilliland, 2010), by person and reason: above 0, the change brought the number nearer to what was
sold. A number that several overrides changed counts for the one that had the last word.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

ALL = "all"
KINDS = ("by", "reason", "id")


def worth(changed: pd.DataFrame) -> pd.DataFrame:
    """OVERRIDE_SCORES but for scored_at and run_id, from numbers whose actual is known.

    changed: columns cutoff, mean, override, actual, id, by, reason; a row a vintage, series and period.
    """
    rows = changed.assign(
        said=(changed["override"] - changed["actual"]).abs(),
        statistical=(changed["mean"] - changed["actual"]).abs(),
        error=changed["override"] - changed["actual"],
        statistical_error=changed["mean"] - changed["actual"],
    )
    return pd.DataFrame(list(_rows(rows)))


def _rows(rows: pd.DataFrame) -> Iterator[dict[str, object]]:
    if len(rows):
        yield {"kind": ALL, "group": ALL} | _metrics(rows)
    for kind in KINDS:
        for name, part in rows.groupby(kind):
            yield {"kind": kind, "group": str(name)} | _metrics(part)


def _metrics(rows: pd.DataFrame) -> dict[str, object]:
    sold, said, statistical = (float(rows[name].sum()) for name in ("actual", "said", "statistical"))
    return {
        "vintages": int(rows["cutoff"].nunique()),
        "periods": len(rows),
        "sold": sold,
        "wape": said / sold if sold else None,
        "statistical_wape": statistical / sold if sold else None,
        "bias": float(rows["error"].sum()) / sold if sold else None,
        "statistical_bias": float(rows["statistical_error"].sum()) / sold if sold else None,
        "saved": statistical - said,
        "value_added": (statistical - said) / statistical if statistical else None,
    }
