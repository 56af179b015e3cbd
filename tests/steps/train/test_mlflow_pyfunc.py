import warnings

import numpy as np
import pandas as pd
import pytest

from forecasting.core.errors import TableError

with warnings.catch_warnings():  # MLflow warns of a type hint of its own when its module is imported
    warnings.simplefilter("ignore", UserWarning)
    from forecasting.steps.train.mlflow_pyfunc import panel_of

DAILY = {"frequency": "D", "horizon": 2, "levels": ["state", "unknown"], "snapshot": "sales@12"}


def test_rows_become_a_panel_with_attributes_and_covariates():
    frame = pd.DataFrame(
        {
            "unique_id": ["b", "a", "a", "a", "a"],
            "ds": ["2026-07-01", "2026-07-01", "2026-07-03", "2026-07-04", "2026-07-05"],
            "y": [5.0, 1.0, 3.0, None, None],
            "state": ["CA", "TX", "TX", "TX", "TX"],
            "price": [9.0, 1.0, 1.5, 2.0, 2.5],
        }
    )
    panel = panel_of(frame, DAILY)
    assert list(panel.periods) == list(pd.date_range("2026-07-01", periods=3))
    np.testing.assert_array_equal(panel.y, np.array([[5, np.nan, np.nan], [1, np.nan, 3]], dtype=np.float32))
    assert panel.series.to_dict("records") == [{"unique_id": "b", "state": "CA"}, {"unique_id": "a", "state": "TX"}]
    np.testing.assert_array_equal(panel.known["price"][1], np.array([1, np.nan, 1.5, 2, 2.5], dtype=np.float32))
    assert (panel.levels, panel.snapshot, str(panel.cutoff)) == (("state",), "sales@12", "2026-07-03")


@pytest.mark.parametrize(
    ("frequency", "days", "periods"),
    [("W-MON", ["2026-06-29", "2026-07-15"], 3), ("M", ["2025-12-01", "2026-02-10"], 3)],
)
def test_days_fall_into_their_periods(frequency, days, periods):
    frame = pd.DataFrame({"unique_id": "a", "ds": days, "y": [1.0, 2.0]})
    panel = panel_of(frame, {**DAILY, "frequency": frequency})
    np.testing.assert_array_equal(panel.y, np.array([[1, *[np.nan] * (periods - 2), 2]], dtype=np.float32))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"unique_id": ["a"], "y": [1.0]}, "lacks ds; it needs unique_id, ds and y, found unique_id, y"),
        ({"unique_id": ["a", "a"], "ds": ["2026-07-01"] * 2, "y": [1.0, 2.0]}, "repeats series and period: a"),
        ({"unique_id": ["a"], "ds": ["2026-07-01"], "y": [np.nan]}, "no sales"),
    ],
)
def test_input_that_cannot_be_forecast_from_is_refused(frame, message):
    with pytest.raises(TableError, match=message):
        panel_of(pd.DataFrame(frame), DAILY)
