"""One series' ARIMA: order by AICc from a short list, conditional least squares, forecasts from new data.

Parameters learnt once serve later cutoffs: statsmodels' Kalman filter runs over the series itself, so that missing
periods are left to it. Regressors are the year (weeks, months) or the month with its paydays (days) as Fourier terms,
and covariates known ahead. Maximum likelihood from there on takes ten to twenty times as long for little: MASE 0.798
instead of 0.804 (M5's departments, three cutoffs), 0.695 instead of 0.699 (pasta, four).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from statsmodels.tsa.statespace.sarimax import SARIMAX

from forecasting.core.errors import ModelError, some
from forecasting.core.frequency import Frequency
from forecasting.models.arima.estimation import Order, Vector, least_squares, tamed

log = logging.getLogger(__name__)
LEAST = 10  # observations
MONTHS = 60  # observed days from which a month's course can be learnt
# Least share of periods with demand, for a level that drifts: 172 of tourism's monthly series, three cutoffs: 0.922,
# before 0.985. Spare parts are worse by it (carparts: 0.71 and 0.96).
STEADY = 0.95
# MASE of pasta, six cutoffs: 0.655, all counted whole 0.671; M5's departments, four: 0.795 and 0.804.
MOST = 2.0  # standard errors
FAILURES = (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Facts:
    """What one series' forecast rests on.

    y: (n,) units, NaN for missing. days: (n + horizon,) first days of the periods. known: covariates by name,
    (n + horizon,) each. frequency: of the periods.
    """

    y: Vector
    days: NDArray[np.datetime64]
    frequency: Frequency
    known: Mapping[str, Vector]

    def regressors(self, order: Order) -> Vector | None:
        """(n + horizon, k), or None where the order has none. Raises ModelError for a covariate that is gone."""
        missing = [name for name in order.known if name not in self.known]
        if missing:
            raise ModelError(
                f"ARIMA was fitted with {some(missing)}, the panel has {some(self.known) or 'no covariates'}: the "
                "configuration of sources changed; train again."
            )
        columns = [self.known[name] for name in order.known]
        if order.fourier:
            columns += _fourier(self.days, order.fourier, self.frequency)
        return np.column_stack(columns) if columns else None


@dataclass(frozen=True)
class Fitted:
    """What is kept of a fit. params: in the order of statsmodels, the innovation variance last; scale: units."""

    order: Order
    params: tuple[float, ...]
    scale: float
    aicc: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """What `to_json` gave."""
        order = content["order"]
        p, d, q = (int(value) for value in order["order"])
        P, D, Q, s = (int(value) for value in order["seasonal"])
        return cls(
            Order((p, d, q), (P, D, Q, s), int(order["fourier"]), tuple(str(name) for name in order["known"])),
            tuple(float(value) for value in content["params"]),
            float(content["scale"]),
            float(content["aicc"]),
        )


# What a series that never changed gets, since it says nothing of its own: exponential smoothing with weight 0.1.
SMOOTHING = Fitted(Order((0, 1, 1)), (-0.9, 1e-6), scale=1.0, aicc=0.0)


def candidates(frequency: Frequency, observed: int, strong: bool = True, steady: bool = True) -> list[Order]:
    """Orders worth trying on so many observations, the most robust first; none for fewer than ten.

    strong: the season is worth a difference, which doubles the noise where there is none. steady: demand at all times,
    whose level may drift; that of now and then comes back to its mean.
    """
    season = frequency.season
    if observed < LEAST:
        return []
    if frequency.code[0] == "W" and observed >= 2 * season:
        smooth = [Order(order, fourier=2) for order in ((0, 1, 1), (1, 0, 1), (1, 1, 1))]
        sharp = [Order(order, (0, 1, 0, season)) for order in ((1, 0, 0), (1, 0, 1), (0, 1, 1))]
        return smooth + sharp if strong else smooth
    if frequency.code == "D" and observed >= 3 * season:
        month = 2 if observed >= MONTHS else 0
        ways = ((1, 0, 1, season), (0, 0, 0, 0), *(((0, 1, 1, season),) if strong else ()))
        return [Order(order, seasonal, month) for seasonal in ways for order in ((1, 0, 0), (1, 0, 1))]
    if frequency.code == "H" and observed >= 3 * season:
        day = frequency.cycles[0]
        ways = ((1, 0, 1, day), (0, 1, 1, day)) if strong else ((1, 0, 1, day), (0, 0, 0, 0))
        return [Order(order, seasonal, 3) for seasonal in ways for order in ((1, 0, 0), (1, 0, 1))]
    if frequency.code in ("M", "Q") and observed >= 3 * season:
        if steady:
            ways = ((0, 1, 1, season), (1, 0, 1, season))
            return [Order(order, seasonal) for seasonal in ways for order in ((0, 1, 1), (1, 1, 1))]
        if strong:
            return [Order(order, (0, 1, 1, season)) for order in ((0, 1, 1), (1, 0, 1))]
        either = ((1, 0, 0, season), (0, 0, 0, 0))
        return [Order(order, seasonal) for order in ((1, 0, 0), (1, 0, 1)) for seasonal in either]
    return [Order((0, 1, 1)), Order((1, 0, 0)), Order((1, 1, 1))]


def search(facts: Facts, quick: bool = False) -> Fitted | None:
    """The order with the lowest AICc, on the observations that all candidates explain; None where none can be fitted.

    First the candidates of the frequency, then the best of them with the known covariates, then without Fourier terms.
    quick: the most robust candidate alone, one fit instead of up to eight.
    """
    frequency, observed = facts.frequency, int(np.isfinite(facts.y).sum())
    season = frequency.season
    strong = observed >= frequency.differenced_after * season and _wander(facts.y, season) < frequency.difference
    steady = bool(np.count_nonzero(facts.y > 0) >= STEADY * observed)
    if not (orders := candidates(facts.frequency, observed, strong, steady)):
        return None
    scale = float(np.nanmean(np.abs(facts.y)))
    if float(np.nanstd(facts.y)) <= 1e-6 * scale:
        return replace(SMOOTHING, scale=scale or 1.0)
    scaled, common = replace(facts, y=facts.y / scale), _explained(facts.y, orders)
    best = _best(scaled, orders[:1] if quick else orders, common)
    if best is not None and not quick:
        if varying := _varying(facts):
            best = _best(scaled, [replace(best.order, known=varying)], common, best) or best
        if best.order.fourier:
            best = _best(scaled, [replace(best.order, fourier=0)], common, best) or best
    return best and replace(best, scale=scale)


def _wander(y: Vector, season: int) -> float:
    """Variance of seasonal differences over that of demand; 0 where nothing is left to difference."""
    change = y[season:] - y[:-season]
    return float(np.nanvar(change)) / max(float(np.nanvar(y)), 1e-30) if np.isfinite(change).any() else 0.0


def _best(
    facts: Facts, orders: Sequence[Order], common: NDArray[np.bool_], best: Fitted | None = None
) -> Fitted | None:
    for order in orders:
        try:
            fitted = estimate(facts, order, common)
        except FAILURES as error:
            log.debug("ARIMA %s cannot be fitted: %s", order, error)
            continue
        if np.isfinite(fitted.aicc) and (best is None or fitted.aicc < best.aicc):
            best = fitted
    return best


def estimate(facts: Facts, order: Order, common: NDArray[np.bool_] | None = None) -> Fitted:
    """One order's parameters.

    common: (n,) observations that AICc is taken over; None = all explained. Raises what numpy raises (FAILURES) where
    the series is too short or degenerate.
    """
    exog = facts.regressors(order)
    found = least_squares(facts.y, None if exog is None else exog[: len(facts.y)], order)
    seen = _explained(facts.y, [order]) if common is None else common
    errors = found.errors[seen[-len(found.errors) :]]
    size = float((errors**2).mean()) if len(errors) else 0.0
    params = (*(float(value) for value in found.params), size)
    return Fitted(order, params, 1.0, _aicc(size, len(errors), len(params)))


def forecast(fitted: Fitted, facts: Facts, most: float = MOST) -> Vector:
    """(horizon,) expected demand after `facts.y`, in units, with the parameters as fitted: nothing is learnt here.

    most: standard errors of one step ahead that a period counts with at most, so that no single day throws the level
    (Gelper, Fried and Croux 2010, for exponential smoothing; with their 2).
    """
    order, known, params = fitted.order, len(facts.y), np.array(fitted.params)
    exog = facts.regressors(order)
    first = len(order.trend.strip("n"))  # the constant stands before the regressors' coefficients
    count = 0 if exog is None else exog.shape[1]
    explained = np.zeros(len(facts.days)) if exog is None else exog @ params[first : first + count]
    # What is to come counts as missing, so that one pass of the filter gives the forecast too.
    rest = np.concatenate([facts.y / fitted.scale, np.full(len(explained) - known, np.nan)]) - explained
    params = np.delete(params, np.s_[first : first + count])
    rest[:known] = tamed(rest[:known], order, params, most)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SARIMAX(
            rest, order=order.order, seasonal_order=order.seasonal, trend=order.trend, enforce_invertibility=False
        )
        found = model.filter(params, return_ssm=True)
    mean: Vector = found.forecasts[0, known:] + explained[known:]
    return mean * fitted.scale


def _fourier(days: NDArray[np.datetime64], pairs: int, frequency: Frequency) -> list[Vector]:
    """Sines and cosines of the cycle; days count from the first of their month, so that paydays stay in place."""
    if frequency.code == "H":
        since = days.astype("datetime64[h]").astype(np.float64) / 24  # days; the week of hours
    else:
        start = days.astype("datetime64[M]" if frequency.code == "D" else "datetime64[Y]").astype("datetime64[D]")
        since = (days.astype("datetime64[D]") - start).astype(np.float64)
    angle = since * (2 * np.pi / frequency.cycle_days)
    return [wave(k * angle) for k in range(1, pairs + 1) for wave in (np.sin, np.cos)]


def _varying(facts: Facts) -> tuple[str, ...]:
    """Covariates that are whole, and change within the known periods, so that something can be learnt from them."""
    count = len(facts.y)
    whole = {name: value for name, value in facts.known.items() if np.isfinite(value).all()}
    return tuple(name for name, value in whole.items() if np.ptp(value[count // 2 : count]) > 0)


def _explained(y: Vector, orders: Sequence[Order]) -> NDArray[np.bool_]:
    """(n,) observations whose differences all exist, and with what is regressed on them, under every order."""
    seen: NDArray[np.bool_] = np.isfinite(y)
    for order in orders:
        changed = y
        for lag in order.lags:
            changed = np.concatenate([np.full(lag, np.nan), changed[lag:] - changed[:-lag]])
        seen = seen & np.isfinite(changed)
        seen[: sum(order.lags) + order.order[0] + order.seasonal[0] * order.seasonal[3]] = False
    return seen


def _aicc(size: float, count: int, parameters: int) -> float:
    """AICc of `count` one-step errors with that mean square."""
    if count <= parameters + 1:
        return float("inf")
    deviance = count * (np.log(2 * np.pi * max(size, 1e-12)) + 1)
    return float(deviance + 2 * parameters + 2 * parameters * (parameters + 1) / (count - parameters - 1))
