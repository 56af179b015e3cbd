"""Numbers that the kind of a period determines: seasons, windows, limits. Read them as properties of Frequency."""

from __future__ import annotations

from typing import NamedTuple


class Constants(NamedTuple):
    """What a kind of period determines, in periods where nothing else is said; see the properties of Frequency."""

    season: int
    year: int
    month: int
    windows: tuple[int, int, int, int]
    seasons: tuple[int, int]
    recent: int
    weighed: int
    rhythm: int
    steadiness: int
    unseen: int
    drift_window: int
    drift_years: int
    charted: int
    plotted: int
    gap_days: int
    around: int
    before_event: int
    near_event: int
    slack: int
    longest_gap: int
    days: int
    difference: float
    differenced_after: int
    cycle_days: float


# `difference`: pasta, six cutoffs, a seasonal AR elsewhere: MASE 0.682; with 1.5 0.689. Of weeks two or three years are
# known, and the noise of the last one comes again; 45 stores' weeks, four cutoffs: 0.397, without differences 0.527.
BY_KIND = {
    "D": Constants(
        season=7, year=364, month=28, windows=(7, 28, 91, 364), seasons=(4, 12), recent=91, weighed=28, rhythm=91,
        steadiness=91, unseen=7, drift_window=7, drift_years=2, charted=182, plotted=120,
        gap_days=7, days=1, difference=1.0, differenced_after=3, cycle_days=30.4369,
        around=7, before_event=63, near_event=14, slack=3, longest_gap=28,
    ),
    "W": Constants(
        season=52, year=52, month=4, windows=(4, 13, 26, 52), seasons=(1, 2), recent=26, weighed=52, rhythm=26,
        steadiness=26, unseen=4, drift_window=4, drift_years=4, charted=104, plotted=78,
        gap_days=14, days=7, difference=0.4, differenced_after=2, cycle_days=365.25,
        around=1, before_event=9, near_event=2, slack=0, longest_gap=8,
    ),
    "M": Constants(
        season=12, year=12, month=1, windows=(3, 6, 12, 24), seasons=(1, 2), recent=12, weighed=48, rhythm=24,
        steadiness=26, unseen=2, drift_window=3, drift_years=8, charted=48, plotted=48,
        gap_days=62, days=30, difference=1.0, differenced_after=3, cycle_days=365.25,
        around=0, before_event=2, near_event=1, slack=0, longest_gap=3,
    ),
    "Q": Constants(
        season=4, year=4, month=1, windows=(2, 4, 8, 12), seasons=(1, 2), recent=4, weighed=16, rhythm=12,
        steadiness=12, unseen=1, drift_window=2, drift_years=12, charted=32, plotted=32,
        gap_days=184, days=91, difference=1.0, differenced_after=3, cycle_days=365.25,
        around=0, before_event=0, near_event=0, slack=0, longest_gap=2,
    ),
    "H": Constants(
        season=168, year=8736, month=672, windows=(24, 168, 672, 8736), seasons=(1, 4), recent=2184, weighed=672,
        rhythm=2184, steadiness=672, unseen=168, drift_window=168, drift_years=1, charted=672,
        plotted=336, gap_days=7, days=1, difference=1.0, differenced_after=3, cycle_days=7.0,
        around=168, before_event=1512, near_event=336, slack=72, longest_gap=672,
    ),
}  # fmt: skip
