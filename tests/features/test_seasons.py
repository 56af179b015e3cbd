"""Last year's season: where its place is, what it makes of the scale, and that moving events are aligned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting import features
from forecasting.core.frequency import Frequency
from forecasting.features import moving_holidays, seasons
from forecasting.features.history import window_mean
from tests.support.panels import panel_of
from tests.support.seasonal import seasonal

YEAR = 364


def measured(panel, horizon):
    widths = panel.frequency.windows
    return seasons.measure(panel, horizon, {width: window_mean(panel.y, width) for width in widths})


@pytest.mark.parametrize(("year", "day"), [(2024, "2024-03-31"), (2025, "2025-04-20"), (2026, "2026-04-05")])
def test_easter(year: int, day: str) -> None:
    assert moving_holidays.easter(year) == day


def test_a_mean_around_a_place_counts_what_was_observed() -> None:
    y = np.array([[1, 2, np.nan, 4, 5, 6]], dtype=np.float32)
    found = seasons.mean_around(y, np.array([1, 3, 5, 6, -1]), 1)
    assert found[0].tolist() == pytest.approx([1.5, 4.5, 5.5, np.nan, np.nan], nan_ok=True)


def test_steady_demand_is_measured_in_its_recent_level() -> None:
    panel = panel_of([[4.0, 6.0] * 500])
    season = measured(panel, 28)
    assert season.growth.tolist() == pytest.approx([1])
    assert not season.tilt.any()
    np.testing.assert_allclose(season.scale, 5, rtol=0.001)


def test_a_season_that_begins_is_measured_in_last_years() -> None:
    year = [0.0] * 300 + [10.0] * 64
    panel = panel_of([year * 2 + [0.0] * 300])
    season = measured(panel, 28)
    assert season.level[0] == 0
    np.testing.assert_allclose(season.scale[0, 10:], 10, rtol=0.05)
    short = measured(panel.first(300), 28)
    assert not short.tilt.any()  # of a first year nothing is known


def test_growth_is_that_of_the_recent_level() -> None:
    panel = panel_of([[10.0] * 500 + [20.0] * 364])
    assert 1.6 < measured(panel, 7).growth[0] <= 2.1


def test_what_is_sold_before_easter_is_found_where_it_was_before_the_last_one() -> None:
    """Easter 2025 was on 20 April, Easter 2026 is on 5 April: the plain place, 52 weeks back, lies 15 days early."""
    panel, actual = seasonal("2026-02-20", 28, counts=(0, 4, 4))
    season = measured(panel, 28)
    assert np.nansum(season.around[:4]) == pytest.approx(actual[:4].sum(), rel=0.25)
    assert (season.around[:4, :1] < season.around[:4, 20:21]).all()


def test_a_moving_event_is_one_that_comes_once_a_year_at_other_dates() -> None:
    panel, _ = seasonal("2026-02-20", 28, counts=(0, 1, 1), events=True)
    found = moving_holidays.moving(panel.events, panel.frequency, 10_000)
    easters = moving_holidays.easters(panel.frequency, panel.periods[0], 10_000)
    assert len(found) == 1
    assert set(found[0]) <= set(easters)


@pytest.mark.parametrize("code", ["D", "W-MON", "M"])
def test_easters_lie_in_their_periods(code: str) -> None:
    frequency, first = Frequency.parse(code), pd.Timestamp("2024-01-01")
    periods = frequency.range(first, 900)
    expected = [
        int(periods.searchsorted(pd.Timestamp(moving_holidays.easter(y)), side="right")) - 1 for y in (2024, 2025, 2026)
    ]
    found = moving_holidays.easters(frequency, first, expected[-1] + 1)
    assert found[-3:].tolist() == expected


@pytest.mark.parametrize("code", ["W-MON", "M"])
def test_weeks_and_months_have_last_years_features_too(code: str) -> None:
    panel, _ = seasonal("2025-11-30", 4, frequency=code, counts=(1, 1, 2))
    built = features.build(panel, np.arange(4), np.ones(4, dtype=np.intp), features.Kinds({}, {}))
    row = dict(zip(built.names, built.values[3], strict=True))
    for name in ("last_year", "last_year_grown", "last_year_level", "growth"):
        assert 0.5 < row[name] < 2


@pytest.mark.parametrize(("code", "length"), [("W-MON", 6), ("D", 40)])
def test_within_a_season_that_moves_with_easter_it_is_still_one(code: str, length: int) -> None:
    """At whatever period of it the history ends, and so the years that are looked back at."""
    frequency = Frequency.parse(code)
    periods = frequency.range(pd.Timestamp("2022-01-03"), 4 * frequency.year + frequency.year // 2)
    easter = moving_holidays.easters(frequency, periods[0], len(periods))
    y = np.zeros((1, len(periods)), dtype=np.float32)
    for day in easter[easter >= 0]:
        y[0, day - length + 1 : day + 1] = 60
    begins = easter[-1] - length + 1
    for end in range(begins - 2, begins + length, frequency.windows[0] // 4 or 1):
        assert seasons.rests(y[:, :end], frequency.year).all()
    panel = panel_of(y[:, : begins + length // 3].tolist(), str(periods[0].date()), code)
    np.testing.assert_allclose(measured(panel, 2).scale, 60, rtol=0.2)
