"""Why a cell was not observed: which rows, gaps and days lead to which code, and that y is NaN exactly there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from forecasting.core.config.settings import Settings
from forecasting.models.baselines import SeasonalNaive
from forecasting.panel.build import build_panel
from forecasting.panel.observed.absence_codes import (
    CLOSED,
    ENDED,
    NOT_BEGUN,
    NOT_DELIVERED,
    OUT_OF_STOCK,
    QUARANTINED,
    counts,
)
from forecasting.panel.panel import Panel

MONDAY = pd.Timestamp("2026-01-05")
DAYS = 84


def conf(grain: str = "periods", **panel: object) -> Settings:
    return Settings.model_validate(
        {
            "sources": {"files": {"kind": "files", "path": "."}},
            "extract": {"sales": {"source": "files", "path": "sales.csv", "grain": grain}},
            "panel": {"horizon": 7} | panel,
        }
    )


def rows(item: str, days: list[int], y: list[float], store: str = "S", step: int = 1) -> pd.DataFrame:
    ds = MONDAY + pd.to_timedelta(np.array(days) * step, unit="D")
    return pd.DataFrame({"item": item, "store": store, "ds": ds, "y": np.array(y, dtype=np.float32)})


def build(sales: pd.DataFrame, until: int = DAYS, **panel: object) -> Panel:
    tables = {"sales": sales}
    if "stock" in panel:
        tables["stock"] = panel.pop("stock")
    grain = str(panel.pop("grain", "periods"))
    settings = conf(grain, **panel)
    step = {"D": 1, "W": 7, "M": 28}[settings.panel.frequency[0]]
    return build_panel(tables, settings, (MONDAY + pd.Timedelta(days=until * step - 1)).date(), "s")


def zeros_written(item: str = "Z", until: int = DAYS) -> pd.DataFrame:
    """A row for every day, half of them zeros: this source writes its zeros."""
    return rows(item, list(range(until)), [float(day % 2) for day in range(until)])


def steady(item: str, days: list[int], y: float = 20) -> pd.DataFrame:
    return rows(item, days, [y] * len(days))


def test_a_row_without_a_quantity_is_unknown_and_a_missing_row_of_a_till_is_zero() -> None:
    days = [day for day in range(DAYS) if day not in (40, 80)]
    panel = build(pd.concat([steady("A", days), rows("A", [80], [np.nan])]), grain="transactions", closed="never")
    assert panel.y[0, 40] == 0
    assert np.isnan(panel.y[0, 80])
    assert panel.absence is not None
    assert panel.absence[0, 80] == QUARANTINED
    assert counts(panel.absence) == {"quarantined": 1}


@pytest.mark.parametrize("frequency", ["W-MON", "M"])
def test_one_unknown_day_makes_its_whole_period_unknown(frequency: str) -> None:
    days = rows("A", list(range(200)), [1.0] * 199 + [0.0])
    days.loc[100, "y"] = np.nan
    settings = conf("transactions", frequency=frequency)
    panel = build_panel({"sales": days}, settings, (MONDAY + pd.Timedelta(days=199)).date(), "s")
    assert np.isnan(panel.y).sum() == 1
    place = int(panel.periods.searchsorted(days["ds"][100], side="right")) - 1
    assert panel.absence is not None
    assert panel.absence[0, place] == QUARANTINED


def test_recorded_zeros_are_observed_from_the_first_row_on_unless_the_item_was_launched_later() -> None:
    launched = rows("launched", list(range(20, DAYS)), [0.0] * 40 + [3.0] * 24)
    rare = rows("rare", list(range(20, DAYS)), [0.0] * 40 + [3.0] + [0.0] * 22 + [2.0])
    once = rows("once", list(range(20, DAYS)), [0.0] * 63 + [5.0])
    never = rows("never", list(range(10, DAYS)), [0.0] * 74)
    panel = build(pd.concat([launched, rare, once, never, zeros_written()]), closed="never")
    begin = {name: int(np.isfinite(y).argmax()) for name, y in zip(panel.unique_ids, panel.y, strict=True)}
    # 24 sales in 24 days: 40 days of nothing before them are no demand of zero. Two in 24 days, or one: they may be.
    assert begin == {"launched_S": 60, "rare_S": 20, "once_S": 20, "never_S": 10, "Z_S": 0}
    assert panel.absence is not None
    assert (panel.absence[panel.unique_ids.tolist().index("launched_S"), :60] == NOT_BEGUN).all()


def test_where_zeros_are_written_a_missing_row_was_not_delivered_and_a_lasting_silence_is_an_end() -> None:
    gap = [day for day in range(DAYS) if not 50 <= day < 54]
    sales = pd.concat([zeros_written(), steady("gap", gap), steady("gone", list(range(40)))])
    panel = build(sales, closed="never")
    at = panel.unique_ids.tolist().index
    codes = panel.absence
    assert codes is not None
    assert np.flatnonzero(codes[at("gap_S")]).tolist() == [50, 51, 52, 53]
    assert set(codes[at("gap_S"), 50:54]) == {NOT_DELIVERED}
    assert (codes[at("gone_S"), 40:67] == NOT_DELIVERED).all()
    assert (codes[at("gone_S"), 68:] == ENDED).all()
    assert build(sales, missing_periods=5, closed="never").absence[at("gone_S"), 45] == ENDED  # type: ignore[index]
    zero = build(sales, missing_rows="zero", closed="never")
    assert (zero.y[at("gap_S"), 50:54] == 0).all()


@pytest.mark.parametrize("grain", ["transactions", "periods"])
def test_where_only_sales_are_written_a_missing_row_is_zero(grain: str) -> None:
    rare = steady("rare", list(range(0, DAYS, 5)), 2)
    panel = build(pd.concat([rare, steady("A", list(range(DAYS)))]), grain=grain)
    assert panel.absence is not None
    assert not panel.absence.any()
    assert (panel.y[1] == 0).sum() == DAYS - len(rare)
    unknown = build(pd.concat([rare, steady("A", list(range(DAYS)))]), grain=grain, missing_rows="unknown")
    assert np.isfinite(unknown.y[1]).sum() == len(rare)


def test_a_weekday_without_any_row_is_a_day_off_also_where_zeros_are_written() -> None:
    days = [day for day in range(DAYS) if day % 7 != 6]
    sales = pd.concat([steady("A", days), rows("Z", days, [float(day % 2) for day in days])])
    sales = sales[~((sales["item"] == "A") & (sales["ds"] == MONDAY + pd.Timedelta(days=71)))]
    panel = build(sales)
    assert panel.absence is not None
    assert [tuple(cell) for cell in np.argwhere(panel.absence)] == [(0, 71)]
    assert (panel.y[:, 6::7] == 0).all()


def test_months_and_weeks_have_gaps_too() -> None:
    for frequency, start in (("W-MON", MONDAY), ("M", pd.Timestamp("2022-01-01"))):
        starts = pd.date_range(start, periods=48, freq={"W-MON": "7D", "M": "MS"}[frequency])
        one = pd.DataFrame({"item": "A", "store": "S", "ds": starts, "y": np.float32(9)}).drop(index=[20, 46, 47])
        other = pd.DataFrame({"item": "B", "store": "S", "ds": starts, "y": np.arange(48, dtype=np.float32) % 3})
        end = starts[-1] + pd.Timedelta(days=31 if frequency == "M" else 7)
        panel = build_panel({"sales": pd.concat([one, other])}, conf(frequency=frequency), end.date(), "s")
        assert panel.absence is not None
        assert np.flatnonzero(panel.absence[0]).tolist() == [20, 46, 47]
        assert set(panel.absence[0, [20, 46, 47]]) == {NOT_DELIVERED}


def test_the_first_reason_counts() -> None:
    out = pd.DataFrame(
        {"item": "A", "store": "S", "ds": MONDAY + pd.to_timedelta([60, 61, 63], unit="D"), "in_stock": False}
    )
    days = [day for day in range(DAYS) if day != 63]
    sales = pd.concat([steady("A", days), steady("B", days), rows("A", [61], [np.nan])])
    panel = build(sales, stock=out, grain="transactions")
    assert panel.absence is not None
    assert panel.absence[0, [60, 61, 63]].tolist() == [OUT_OF_STOCK, QUARANTINED, CLOSED]
    assert panel.absence[1, 63] == CLOSED


def test_a_panel_is_cut_and_taken_with_its_reasons() -> None:
    sales = pd.concat([zeros_written(), steady("A", [*range(50), *range(60, DAYS)])])
    panel = build(sales)
    cut = panel.first(55).take(np.array([1, 0]))
    assert cut.absence is not None
    assert cut.absence.shape == (2, 55)
    np.testing.assert_array_equal(cut.absence > 0, np.isnan(cut.y))
    assert panel.absence is not None
    np.testing.assert_array_equal(cut.absence, panel.absence[[1, 0], :55])


cells = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 60), st.sampled_from([0.0, 1.0, 7.0, np.nan])),
    min_size=3, max_size=60, unique_by=lambda cell: cell[:2],
)  # fmt: skip


@examples(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    found=cells.filter(lambda cells: any(y > 0 for _, _, y in cells)),
    words=st.sampled_from(["auto", "zero", "unknown"]),
    frequency=st.sampled_from(["D", "W-MON"]),
)
def test_a_cell_has_a_reason_exactly_where_it_has_no_number(found: list, words: str, frequency: str) -> None:
    sales = pd.concat([rows(item, [day], [y]) for item, day, y in found])
    settings = conf("transactions", frequency=frequency, missing_rows=words)
    panel = build_panel({"sales": sales}, settings, (MONDAY + pd.Timedelta(days=62)).date(), "s")
    assert panel.absence is not None
    np.testing.assert_array_equal(panel.absence > 0, np.isnan(panel.y))
    assert not np.signbit(panel.y[np.isfinite(panel.y)]).any()
    for row, (item, store) in enumerate(zip(panel.series["item"], panel.series["store"], strict=True)):
        lost = sales[(sales["item"] == item) & (sales["store"] == store) & sales["y"].isna()]
        places = panel.periods.searchsorted(lost["ds"], side="right") - 1
        assert (panel.absence[row, places[places >= 0]] == QUARANTINED).all()


@examples(max_examples=30, deadline=None, derandomize=True)
@given(lost=st.sets(st.integers(0, DAYS - 1), max_size=DAYS - 10))
def test_whatever_is_in_quarantine_a_steady_series_stays_steady(lost: set[int]) -> None:
    sales = pd.concat([steady("A", list(range(DAYS))), zeros_written()])
    sales.loc[(sales["item"] == "A") & sales["ds"].isin([MONDAY + pd.Timedelta(days=day) for day in lost]), "y"] = (
        np.nan
    )
    panel = build(sales)
    assert panel.absence is not None
    assert set(np.flatnonzero(panel.absence[0] == QUARANTINED)) == {day for day in lost if day >= 0}
    forecast = SeasonalNaive().predict(panel, 7).mean[0]
    np.testing.assert_allclose(forecast, 20, rtol=1e-5)


def test_an_earlier_cutoff_says_the_same_of_the_same_cell() -> None:
    random = np.random.default_rng(3)
    sales = pd.concat(
        [zeros_written(), zeros_written("Y"), steady("A", list(range(50))), steady("B", list(range(DAYS)))]
    )
    sales = sales[random.random(len(sales)) > 0.02]
    whole = build(sales)
    for until in (45, 60, 75):
        early, cut = build(sales, until), whole.until((MONDAY + pd.Timedelta(days=until - 1)).date())
        np.testing.assert_array_equal(early.absence, cut.absence)
        np.testing.assert_array_equal(early.y, cut.y)
