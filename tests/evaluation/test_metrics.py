"""Accuracy measures by hand."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.evaluation import metrics
from tests.support.panels import panel_of

Y = np.array([[2.0, 4.0], [np.nan, 4.0]])
F = np.array([[1.0, 6.0], [100.0, 4.0]])


def test_wape_and_bias_leave_unobserved_periods_out() -> None:
    assert metrics.wape(Y, F) == pytest.approx(3 / 10)
    assert metrics.bias(Y, F) == pytest.approx(1 / 10)


def test_wape_is_unknown_where_nothing_was_sold() -> None:
    assert np.isnan(metrics.wape(np.zeros((1, 2)), np.ones((1, 2))))


def test_scales_start_at_the_first_sale() -> None:
    history = np.array([[0.0, 0.0, 1.0, 3.0, 3.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert metrics.scales(history).tolist() == pytest.approx([1.0, np.nan], nan_ok=True)
    assert metrics.scales(history, squared=True).tolist() == pytest.approx([2.0, np.nan], nan_ok=True)


def test_mase_and_rmsse() -> None:
    assert metrics.mase(Y, F, np.array([1.0, 2.0])) == pytest.approx((1.5 + 0) / 2)
    assert metrics.rmsse(Y, F, np.array([2.5, 1.0])).tolist() == pytest.approx([1.0, 0.0])


def test_pinball_and_coverage() -> None:
    y = np.array([[10.0]])
    assert metrics.pinball(y, np.array([[[8.0, 12.0]]]), (0.1, 0.9)) == pytest.approx((0.2 + 0.2) / 2)
    assert metrics.coverage(Y, F - 1, F) == pytest.approx(1 / 3)


def test_hierarchical_rmsse_of_a_perfect_and_of_a_swapped_forecast() -> None:
    panel = panel_of([[1.0, 2.0] * 20, [2.0, 4.0] * 20])
    y = np.array([[1.0, 2.0], [2.0, 4.0]])
    perfect = metrics.hierarchical_rmsse(panel, y, y).set_index("level")["value"]
    assert perfect.to_dict() == {"total": 0.0, "store": 0.0, "series": 0.0, "all": 0.0}
    swapped = metrics.hierarchical_rmsse(panel, y, y[::-1]).set_index("level")["value"]
    assert swapped["total"] == 0.0
    # Both series are off by y's own difference: RMS error sqrt(2.5), scales 1 and 4, weights 1/3 and 2/3 of the units.
    assert swapped["series"] == pytest.approx(np.sqrt(2.5) * (1 / 3 + (2 / 3) / 2))
