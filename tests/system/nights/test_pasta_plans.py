"""Pasta in three situations: what the backtest says and what the night then gets are within a tenth of each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.small import pasta
from forecasting.core.config.settings import Settings
from forecasting.core.frequency import Frequency
from forecasting.panel import totals
from forecasting.panel.covariates import known_since
from forecasting.panel.panel import Panel
from forecasting.steps.train.challenger import challenger

DATA, HORIZON, BACK = Path(__file__).parents[4] / "shared" / "data", 28, (1, 4)
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not (DATA / "pasta").is_dir(), reason=f"no data in {DATA / 'pasta'}"),
]
SETTINGS = Settings.model_validate(
    {
        "sources": {"shop": {"kind": "files", "path": "."}},
        "extract": {"sales": {"source": "shop", "path": "sales.csv"}},
        "panel": {"horizon": HORIZON},
        "train": {
            "models": ["seasonal_naive", "seasonal_mean", "lightgbm"],
            "lightgbm": {"rows": 100_000, "bags": 1, "trees": 100},
        },
        "runtime": {"threads": 1},
    }
)


@pytest.mark.parametrize("reach", [28, 7, 0])
def test_the_backtest_says_what_a_night_gets(reach: int) -> None:
    """Means of two cutoffs, as one window of 28 days varies by more than a tenth."""
    small, found = pasta(DATA), []
    for back in BACK:
        cut = len(small.periods) - HORIZON * back
        promotion = small.known["promotion"][:, : cut + HORIZON].astype(np.float32).copy()
        promotion[:, cut + reach :] = 0
        found_reach = known_since.lead(known_since.active(promotion, changes=False), cut, "D")
        assert found_reach == (None if reach == HORIZON else reach)
        since = known_since.within(None, found_reach, cut + HORIZON)
        panel = Panel(
            small.y[:, :cut].astype(np.float32), small.periods[:cut],
            small.series.assign(item=small.series["unique_id"], store=""), Frequency.parse("D"), "sales@0",
            {"promotion": promotion}, {}, ("brand_id",),
            since={} if since is None else {"promotion": since}, zero=frozenset({"promotion"}),
        )  # fmt: skip
        made = challenger(SETTINGS, replace(panel, totals=totals.compute(panel)), lambda *_: None)
        scores = made.choice.scores
        mine = (scores["model"] == made.choice.label) & (scores["level"] == "series") & (scores["metric"] == "wape")
        actual = small.y[:, cut : cut + HORIZON]
        seen = np.isfinite(actual)
        error = (made.final.predict(panel, HORIZON).mean - actual)[seen]
        found.append((scores.loc[mine, "value"].mean(), np.abs(error).sum() / actual[seen].sum()))
    backtest, night = np.mean(found, axis=0)
    assert night == pytest.approx(backtest, rel=0.1)
