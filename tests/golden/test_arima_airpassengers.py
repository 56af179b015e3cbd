"""Box and Jenkins' airline model on their airline passengers, against what R prints for it.

R 4.x: arima(log(AirPassengers), c(0, 1, 1), list(order = c(0, 1, 1))) gives ma1 -0.4018, sma1 -0.5569,
sigma^2 0.001348, log likelihood 244.7, aic -483.4; predict() goes on with 6.1102, 6.0538, 6.1717, 6.1993, 6.2326,
6.3688, 6.5073, 6.5029, 6.3247, 6.2090, 6.0635, 6.1680.
"""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.data.frequency import Frequency
from forecasting.models.sarimax import Facts, Fitted, Order, estimate, forecast, search

# Thousands of passengers a month, 1949-01 to 1960-12 (Box, Jenkins and Reinsel, Time Series Analysis, series G).
PASSENGERS = """
112 118 132 129 121 135 148 148 136 119 104 118
115 126 141 135 125 149 170 170 158 133 114 140
145 150 178 163 172 178 199 199 184 162 146 166
171 180 193 181 183 218 230 242 209 191 172 194
196 196 236 235 229 243 264 272 237 211 180 201
204 188 235 227 234 264 302 293 259 229 203 229
242 233 267 269 270 315 364 347 312 274 237 278
284 277 317 313 318 374 413 405 355 306 271 306
315 301 356 348 355 422 465 467 404 347 305 336
340 318 362 348 363 435 491 505 404 359 310 337
360 342 406 396 420 472 548 559 463 407 362 405
417 391 419 461 472 535 622 606 508 461 390 432
"""
AIRLINE = Order((0, 1, 1), (0, 1, 1, 12))


@pytest.fixture(scope="module")
def facts() -> Facts:
    y = np.log(np.array(PASSENGERS.split(), dtype=np.float64))
    days = np.arange("1949-01", "1962-01", dtype="datetime64[M]").astype("datetime64[D]")
    return Facts(y, days, Frequency("M"), {})


@pytest.fixture(scope="module")
def fitted(facts: Facts) -> Fitted:
    return estimate(facts, AIRLINE)


def test_coefficients_are_r_s(fitted: Fitted) -> None:
    assert fitted.params == pytest.approx((-0.4018, -0.5569, 0.001348), abs=5e-5)
    assert fitted.params[2] == pytest.approx(0.001348, abs=5e-7)
    assert fitted.converged


def test_aicc_is_r_s_aic_with_its_correction(fitted: Fitted) -> None:
    observations, parameters = 144 - 13, 3
    correction = 2 * parameters * (parameters + 1) / (observations - parameters - 1)
    assert fitted.aicc == pytest.approx(-483.4 + correction, abs=0.05)


def test_forecasts_are_r_s(fitted: Fitted, facts: Facts) -> None:
    published = [6.1102, 6.0538, 6.1717, 6.1993, 6.2326, 6.3688, 6.5073, 6.5029, 6.3247, 6.2090, 6.0635, 6.1680]
    np.testing.assert_allclose(forecast(fitted, facts), published, atol=1e-4)


def test_parameters_of_the_past_carry_over_to_a_later_cutoff(facts: Facts) -> None:
    early = Facts(facts.y[:120], facts.days[:132], facts.frequency, {})
    fitted = estimate(early, AIRLINE)
    later = forecast(fitted, facts)
    np.testing.assert_allclose(later, forecast(estimate(facts, AIRLINE), facts), rtol=0.003)
    assert np.abs(forecast(fitted, early) - facts.y[120:132]).mean() < 0.1


def test_the_search_finds_the_airline_model_on_raw_passengers_too(facts: Facts) -> None:
    found = search(Facts(np.exp(facts.y), facts.days, facts.frequency, {}))
    assert found is not None
    assert found.order.seasonal == (0, 1, 1, 12)
    mean = forecast(found, Facts(np.exp(facts.y), facts.days, facts.frequency, {}))
    np.testing.assert_allclose(mean, np.exp(forecast(estimate(facts, AIRLINE), facts)), rtol=0.06)
