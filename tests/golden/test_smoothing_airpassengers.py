"""ETS and Theta on the airline passengers, against statsmodels, which estimates first states too."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from forecasting.models.smoothing import recursion
from forecasting.models.smoothing.ets import Ets
from forecasting.models.smoothing.theta import Theta, indices, slope
from tests.golden.test_arima_airpassengers import PASSENGERS

Y = np.array(PASSENGERS.split(), dtype=np.float64)
SCALE = Y.mean()


@pytest.fixture(autouse=True)
def every_period_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the book and statsmodels have it."""
    monkeypatch.setattr(recursion, "TAMED", 1e9)


def ours(model: Ets | Theta, horizon: int = 12) -> np.ndarray:
    fits = model.learn(Y[None] / SCALE, 12)
    return model.extend(Y[None] / SCALE, fits, 12, horizon)[0] * SCALE


def test_the_search_takes_a_damped_trend_and_a_season_that_multiplies() -> None:
    assert str(Ets().learn(Y[None] / SCALE, 12)[0].form) == "(A,Ad,M)"


def test_ets_forecasts_and_weights_are_those_of_statsmodels() -> None:
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = ExponentialSmoothing(Y, trend="add", damped_trend=True, seasonal="mul", seasonal_periods=12).fit()
    np.testing.assert_allclose(ours(Ets()), book.forecast(12), rtol=0.02)
    fit = Ets().learn(Y[None] / SCALE, 12)[0]
    # statsmodels: 0.322 and 0.601, with first states of its own choice (3.9 % of the error's size lower).
    assert fit.alpha == pytest.approx(book.params["smoothing_level"], abs=0.1)
    assert fit.gamma == pytest.approx(book.params["smoothing_seasonal"], abs=0.05)


def test_theta_is_that_of_statsmodels_but_for_the_damping() -> None:
    from statsmodels.tsa.forecasting.theta import ThetaModel
    from statsmodels.tsa.seasonal import seasonal_decompose

    book = ThetaModel(Y, period=12, method="mul").fit()
    fit = Theta().learn(Y[None] / SCALE, 12)[0]
    assert fit.form.season == 12
    assert fit.alpha == pytest.approx(book.params["alpha"], abs=0.03)  # ours: each period's season left out
    np.testing.assert_allclose(
        indices(Y[None], 12)[0], seasonal_decompose(Y, "mul", period=12).seasonal[:12], rtol=1e-9
    )
    adjusted = Y / np.tile(indices(Y[None], 12)[0], 12)
    assert slope(adjusted[None])[0] == pytest.approx(book.params["b0"], rel=1e-6)
    np.testing.assert_allclose(ours(Theta()), book.forecast(12), rtol=0.005)
    assert (ours(Theta(), 36)[24:] < book.forecast(36)[24:]).all()  # the damping
