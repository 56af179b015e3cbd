"""One series' ARIMA: order by AICc from a short list, maximum likelihood by statsmodels, forecasts from new data.

Estimation works on the differenced series, which is several times faster; forecasting works on the series itself, so
that parameters learnt once serve later cutoffs and missing periods are left to the Kalman filter. Regressors are the
year (weeks, months) or the month with its paydays (days) as Fourier terms, and covariates known ahead.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.signal import lfilter
from statsmodels.tsa.statespace.sarimax import SARIMAX

from forecasting.data.frequency import Frequency
from forecasting.errors import ModelError, some

log = logging.getLogger(__name__)
Vector = NDArray[np.float64]
ITERATIONS = 50
LEAST = 10  # observations
DIFFERENCE = 1.5  # most variance of seasonal differences over that of demand, for them to be taken; noise alone: 2
LARGEST = 0.97  # ARMA coefficient to start from
CYCLES = {"D": 30.4369, "W": 365.25, "M": 365.25}  # days of the cycle that Fourier terms follow
FAILURES = (ValueError, ArithmeticError, IndexError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Order:
    """(p, d, q)(P, D, Q) with season s (0 = none), and the regressors: Fourier pairs, covariates by name."""

    order: tuple[int, int, int]
    seasonal: tuple[int, int, int, int] = (0, 0, 0, 0)
    fourier: int = 0
    known: tuple[str, ...] = ()

    @property
    def trend(self) -> str:
        """A constant where nothing is differenced, in the letters of statsmodels."""
        return "n" if self.order[1] or self.seasonal[1] else "c"

    def __str__(self) -> str:
        seasonal = f"({','.join(map(str, self.seasonal[:3]))}){self.seasonal[3]}" if self.seasonal[3] else ""
        terms = (f"{self.fourier} Fourier",) if self.fourier else ()
        return " + ".join((f"({','.join(map(str, self.order))}){seasonal}", *terms, *self.known))


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
            columns += _fourier(self.days, order.fourier, self.frequency.code[0])
        return np.column_stack(columns) if columns else None


@dataclass(frozen=True)
class Fitted:
    """What is kept of a fit. params: in the order of statsmodels, the innovation variance last; scale: units."""

    order: Order
    params: tuple[float, ...]
    scale: float
    aicc: float
    converged: bool

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
            bool(content["converged"]),
        )


# What a series that never changed gets, since it says nothing of its own: exponential smoothing with weight 0.1.
SMOOTHING = Fitted(Order((0, 1, 1)), (-0.9, 1e-6), scale=1.0, aicc=0.0, converged=True)


def candidates(frequency: Frequency, observed: int, strong: bool = True) -> list[Order]:
    """Orders worth trying on so many observations, the most robust first; none for fewer than ten.

    strong: the season is worth a difference, which doubles the noise where there is none.
    """
    season = frequency.season
    if observed < LEAST:
        return []
    if frequency.code[0] == "W" and observed >= 2 * season:
        return [Order((0, 1, 1), fourier=2), Order((1, 0, 1), fourier=2), Order((1, 1, 1), fourier=2)]
    if frequency.code[0] != "W" and observed >= 3 * season:
        month = 2 if frequency.code == "D" and observed >= 60 else 0
        if strong:
            return [Order(order, (0, 1, 1, season), month) for order in ((0, 1, 1), (1, 0, 1))]
        either = ((1, 0, 0, season), (0, 0, 0, 0))
        return [Order(order, seasonal, month) for order in ((1, 0, 0), (1, 0, 1)) for seasonal in either]
    return [Order((0, 1, 1)), Order((1, 0, 0)), Order((1, 1, 1))]


def search(facts: Facts, quick: bool = False) -> Fitted | None:
    """The order with the lowest AICc, on the observations that all candidates explain; None where none can be fitted.

    First the candidates of the frequency, then the best of them with the known covariates, then without Fourier
    terms; all at their least squares estimates. The best one goes on to maximum likelihood, unless `quick`, and not for
    weeks: twice the time for the same error (vn2, two cutoffs: MASE 0.7791, 0.7593 with it, 0.7796, 0.7583 without).
    """
    season, observed = facts.frequency.season, int(np.isfinite(facts.y).sum())
    strong = observed >= 3 * season and _wander(facts.y, season) < DIFFERENCE
    if not (orders := candidates(facts.frequency, observed, strong)):
        return None
    scale = float(np.nanmean(np.abs(facts.y)))
    if float(np.nanstd(facts.y)) <= 1e-6 * scale:
        return replace(SMOOTHING, scale=scale or 1.0)
    scaled, common = replace(facts, y=facts.y / scale), _explained(facts.y, orders)
    if (best := _best(scaled, orders, common)) is None:
        return None
    if varying := _varying(facts):
        best = _best(scaled, [replace(best.order, known=varying)], common, best) or best
    if best.order.fourier:
        best = _best(scaled, [replace(best.order, fourier=0)], common, best) or best
    if quick or facts.frequency.code[0] == "W":
        return replace(best, scale=scale, converged=True)  # least squares did all that was asked of it
    return replace(_best(scaled, [best.order], common, likelihood=True) or best, scale=scale)


def _wander(y: Vector, season: int) -> float:
    """Variance of seasonal differences over that of demand; 0 where nothing is left to difference."""
    change = y[season:] - y[:-season]
    return float(np.nanvar(change)) / max(float(np.nanvar(y)), 1e-30) if np.isfinite(change).any() else 0.0


def _best(
    facts: Facts,
    orders: Sequence[Order],
    common: NDArray[np.bool_],
    best: Fitted | None = None,
    likelihood: bool = False,
) -> Fitted | None:
    for order in orders:
        try:
            fitted = estimate(facts, order, common, likelihood)
        except FAILURES as error:
            log.debug("ARIMA %s cannot be fitted: %s", order, error)
            continue
        if np.isfinite(fitted.aicc) and (best is None or fitted.aicc < best.aicc):
            best = fitted
    return best


def estimate(facts: Facts, order: Order, common: NDArray[np.bool_] | None = None, likelihood: bool = True) -> Fitted:
    """One order's parameters, by maximum likelihood or only by its starting point, conditional least squares.

    common: (n,) observations that AICc is taken over; None = all explained. Raises what statsmodels raises (FAILURES)
    where the series is too short or degenerate.
    """
    exog = facts.regressors(order)
    exog = None if exog is None else exog[: len(facts.y)]
    start = least_squares(facts.y, exog, order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missed convergence: AICc and the guard on forecasts judge the result
        model = SARIMAX(
            facts.y, exog, order=order.order, seasonal_order=order.seasonal, trend=order.trend,
            simple_differencing=True, enforce_invertibility=False, concentrate_scale=True,
        )  # fmt: skip
        if likelihood:
            result = model.fit(start, disp=0, maxiter=ITERATIONS, cov_type="none")
        else:
            result = model.filter(start, cov_type="none")
    params = (*(float(value) for value in result.params), float(result.scale))
    seen = (_explained(facts.y, [order]) if common is None else common)[-int(result.nobs) :]
    converged = bool(result.mle_retvals["converged"]) if likelihood else False
    return Fitted(order, params, 1.0, _aicc(result, seen, len(params)), converged)


def least_squares(y: Vector, exog: Vector | None, order: Order) -> Vector:
    """Parameters that minimise the conditional sum of squares, regression included; missing periods are interpolated.

    One tenth of the time of a likelihood: regression coefficients follow from the ARMA ones, and no filter is run.
    """
    places = np.arange(len(y))
    seen = np.isfinite(y)
    columns = [np.interp(places, places[seen], y[seen]), *([] if exog is None else exog.T)]
    if order.trend == "c":
        columns.insert(1, np.ones(len(y)))
    data = np.stack(columns)
    for lag in _lags(order):
        data = data[:, lag:] - data[:, :-lag]
    (p, _, q), (P, _, Q, _) = order.order, order.seasonal
    season = order.seasonal[3] or 1

    def regress(theta: Vector) -> tuple[float, Vector]:
        ar = np.convolve(_polynomial(-theta[:p]), _polynomial(-theta[p + q : p + q + P], season))
        ma = np.convolve(_polynomial(theta[p : p + q]), _polynomial(theta[p + q + P :], season))
        errors = lfilter(ar, ma, data)[:, len(ar) - 1 :]
        beta: Vector = np.linalg.lstsq(errors[1:].T, errors[0], rcond=None)[0]
        size = float(((errors[0] - beta @ errors[1:]) ** 2).mean())
        if order.trend == "c":
            beta[0] *= ar.sum()  # statsmodels' constant is the intercept, not the mean
        return size, beta

    start = np.repeat([0.5, -0.4, 0.1, -0.6], [p, q, P, Q])
    found = minimize(lambda theta: regress(theta)[0], start, bounds=[(-LARGEST, LARGEST)] * len(start))
    return np.concatenate([regress(found.x)[1], found.x])


def _polynomial(coefficients: Vector, season: int = 1) -> Vector:
    """1 + c_1 B^s + c_2 B^2s + ..."""
    whole = np.zeros(len(coefficients) * season + 1)
    whole[0] = 1
    whole[season::season] = coefficients
    return whole


def _lags(order: Order) -> tuple[int, ...]:
    return (1,) * order.order[1] + (order.seasonal[3],) * order.seasonal[1]


def forecast(fitted: Fitted, facts: Facts) -> Vector:
    """(horizon,) expected demand after `facts.y`, in units, with the parameters as fitted: nothing is learnt here."""
    order, known = fitted.order, len(facts.y)
    exog = facts.regressors(order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SARIMAX(
            facts.y / fitted.scale, None if exog is None else exog[:known], order=order.order,
            seasonal_order=order.seasonal, trend=order.trend, enforce_invertibility=False,
        )  # fmt: skip
        result = model.filter(np.array(fitted.params), cov_type="none")
        mean: Vector = result.forecast(len(facts.days) - known, exog=None if exog is None else exog[known:])
    return mean * fitted.scale


def _fourier(days: NDArray[np.datetime64], pairs: int, code: str) -> list[Vector]:
    """Sines and cosines of the cycle; days count from the first of their month, so that paydays stay in place."""
    start = days.astype("datetime64[M]" if code == "D" else "datetime64[Y]").astype("datetime64[D]")
    angle = (days.astype("datetime64[D]") - start).astype(np.float64) * (2 * np.pi / CYCLES[code])
    return [wave(k * angle) for k in range(1, pairs + 1) for wave in (np.sin, np.cos)]


def _varying(facts: Facts) -> tuple[str, ...]:
    """Covariates that are whole, and change within the known periods, so that something can be learnt from them."""
    count = len(facts.y)
    whole = {name: value for name, value in facts.known.items() if np.isfinite(value).all()}
    return tuple(name for name, value in whole.items() if np.ptp(value[count // 2 : count]) > 0)


def _explained(y: Vector, orders: Sequence[Order]) -> NDArray[np.bool_]:
    """(n,) periods whose differences all exist under every order."""
    seen: NDArray[np.bool_] = np.isfinite(y)
    for order in orders:
        changed = y
        for lag in _lags(order):
            changed = np.concatenate([np.full(lag, np.nan), changed[lag:] - changed[:-lag]])
        seen = seen & np.isfinite(changed)
    return seen


def _aicc(result: Any, seen: NDArray[np.bool_], parameters: int) -> float:
    """AICc of the observations in `seen`, with the innovation variance that suits them best."""
    error, variance = result.forecasts_error[0][seen], result.forecasts_error_cov[0, 0][seen]
    count = len(error)
    if count <= parameters + 1:
        return float("inf")
    squares = max(float((error**2 / variance).mean()), 1e-12)
    deviance = float(count * (np.log(2 * np.pi * squares) + 1) + np.log(variance).sum())
    return deviance + 2 * parameters + 2 * parameters * (parameters + 1) / (count - parameters - 1)
