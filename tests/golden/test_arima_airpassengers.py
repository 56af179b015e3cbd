"""Box and Jenkins' airline model on their airline passengers, against what R prints for it.

R 4.x: arima(log10(AirPassengers), c(0, 1, 1), list(order = c(0, 1, 1)), method = "CSS") gives ma1 -0.3772, sma1
-0.5724, sigma^2 0.0002619 (the example of ?AirPassengers). By maximum likelihood, of log(AirPassengers): ma1 -0.4018,
sma1 -0.5569, sigma^2 0.001348; predict() goes on with 6.1102, 6.0538, 6.1717, 6.1993, 6.2326, 6.3688, 6.5073, 6.5029,
6.3247, 6.2090, 6.0635, 6.1680.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.core.frequency import Frequency
from forecasting.models.arima.estimation import Order
from forecasting.models.arima.search import Facts, Fitted, estimate, forecast, search

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


def test_coefficients_by_least_squares_are_r_s(facts: Facts) -> None:
    found = estimate(replace(facts, y=facts.y / np.log(10)), AIRLINE)
    assert found.params[:2] == pytest.approx((-0.3772, -0.5724), abs=2e-4)
    assert found.params[2] == pytest.approx(0.0002619, abs=5e-8)


def test_aicc_is_that_of_the_errors_from_the_first_difference_on(facts: Facts) -> None:
    found = estimate(facts, AIRLINE)
    observations, parameters = 144 - 13, 3
    deviance = observations * (np.log(2 * np.pi * found.params[2]) + 1)
    correction = 2 * parameters * observations / (observations - parameters - 1)
    assert found.aicc == pytest.approx(deviance + correction)


def test_forecasts_from_r_s_coefficients_are_r_s(facts: Facts) -> None:
    published = [6.1102, 6.0538, 6.1717, 6.1993, 6.2326, 6.3688, 6.5073, 6.5029, 6.3247, 6.2090, 6.0635, 6.1680]
    likeliest = Fitted(AIRLINE, (-0.4018, -0.5569, 0.001348), 1.0, 0.0)
    np.testing.assert_allclose(forecast(likeliest, facts, most=np.inf), published, atol=1e-4)


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
