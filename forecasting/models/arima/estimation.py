"""What an ARIMA is made of, and its parameters by conditional least squares.

Regression coefficients follow from the ARMA ones, and no Kalman filter is run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import leastsq
from scipy.signal import lfilter

Vector = NDArray[np.float64]
LARGEST = (0.97, 0.97, 0.99, 0.99)  # AR, MA, seasonal AR, seasonal MA coefficient
# Where the search begins. Far enough from coefficients that cancel out, and each step at first no larger than 1:
# otherwise two in five (1,1,1) of vn2 ended at -0.97 and 0.97, with half as much again of squared errors.
START = ((0.5, 0.2), (-0.4, -0.1), (0.3, 0.1), (-0.5, -0.1))  # of the same, by lag
FIRST_STEP, CLOSE = 1.0, 1e-4
PASSES = 10  # at most, over a series with outliers
RIDGE = 1e-10  # of the regressors' mean square: for those that say the same


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

    @property
    def lags(self) -> tuple[int, ...]:
        """Of the differences that are taken."""
        return (1,) * self.order[1] + (self.seasonal[3],) * self.seasonal[1]

    def __str__(self) -> str:
        seasonal = f"({','.join(map(str, self.seasonal[:3]))}){self.seasonal[3]}" if self.seasonal[3] else ""
        terms = (f"{self.fourier} Fourier",) if self.fourier else ()
        return " + ".join((f"({','.join(map(str, self.order))}){seasonal}", *terms, *self.known))


@dataclass(frozen=True)
class LeastSquares:
    """params: in the order of statsmodels. errors: of the newest periods, as many as the order can explain."""

    params: Vector
    errors: Vector


def least_squares(y: Vector, exog: Vector | None, order: Order) -> LeastSquares:
    """Parameters that minimise the conditional sum of squares, regression included; missing periods are interpolated.

    y: (n,); exog: (n, k) or None. Gauss-Newton steps over the ARMA coefficients alone, the others being least squares
    given these (variable projection: Golub and Pereyra, 1973).
    """
    columns = [_bridged(y), *([] if exog is None else exog.T)]
    if order.trend == "c":
        columns.insert(1, np.ones(len(y)))
    data = _differenced(np.stack(columns), order)
    (p, _, q), (P, _, Q, _) = order.order, order.seasonal

    def regress(theta: Vector) -> tuple[Vector, Vector, float]:
        ar, ma = _polynomials(theta, order)
        filtered = lfilter(ar, ma, data)[:, len(ar) - 1 :]
        beta = _regression(filtered[1:], filtered[0])
        return filtered[0] - beta @ filtered[1:], beta, float(ar.sum())

    start = np.concatenate([begin[:count] for begin, count in zip(START, (p, q, P, Q), strict=True)])
    most, theta = np.repeat(LARGEST, (p, q, P, Q)), start
    if len(start):
        found = leastsq(
            lambda free: regress(most * np.tanh(free))[0], np.arctanh(start / most),
            xtol=CLOSE, ftol=CLOSE / 10, factor=FIRST_STEP, full_output=True,
        )  # fmt: skip
        theta = most * np.tanh(found[0])
    errors, beta, left = regress(theta)
    if order.trend == "c":
        beta[0] *= left  # statsmodels' constant is the intercept, not the mean
    return LeastSquares(np.concatenate([beta, theta]), errors)


def tamed(y: Vector, order: Order, params: Vector, most: float) -> Vector:
    """`y` (n,) with each period moved to within `most` standard errors of what was expected of it; NaN stays.

    params: constant, ARMA coefficients and innovation variance, as statsmodels has them. What one period is expected to
    be follows from those before it as moved, which takes a pass for each time that an outlier hid another.
    """
    constant, error = len(order.trend.strip("n")), most * float(params[-1]) ** 0.5
    ar, ma = _polynomials(params[constant:-1], order)
    middle = float(params[0] / ar.sum()) if constant else 0.0
    given, first = _bridged(y), sum(order.lags) + len(ar) - 1
    moved = given.copy()
    for _ in range(PASSES):
        expected = moved[first:] - lfilter(ar, ma, _differenced(moved, order) - middle)[len(ar) - 1 :]
        before = moved.copy()
        moved[first:] = expected + np.clip(given[first:] - expected, -error, error)
        if np.allclose(before, moved):
            break
    return np.where(np.isfinite(y), moved, np.nan)


def _bridged(y: Vector) -> Vector:
    """(n,) with what is missing on a line between its neighbours."""
    places, seen = np.arange(len(y)), np.isfinite(y)
    return np.interp(places, places[seen], y[seen])


def _differenced(values: Vector, order: Order) -> Vector:
    """(..., n) without the first ones, as many as the order's differences reach back."""
    for lag in order.lags:
        values = values[..., lag:] - values[..., :-lag]
    return values


def _polynomials(theta: Vector, order: Order) -> tuple[Vector, Vector]:
    """The AR and the MA polynomial, seasons multiplied in, of the ARMA coefficients in the order of statsmodels."""
    (p, _, q), (P, _, _, season) = order.order, order.seasonal
    ar = np.convolve(_polynomial(-theta[:p]), _polynomial(-theta[p + q : p + q + P], season or 1))
    ma = np.convolve(_polynomial(theta[p : p + q]), _polynomial(theta[p + q + P :], season or 1))
    return ar, ma


def _regression(on: Vector, target: Vector) -> Vector:
    """Coefficients of the (k, n) rows of `on` that explain the (n,) target best."""
    if not len(on):
        return np.zeros(0)
    square: Vector = on @ on.T
    diagonal = square.ravel()[:: len(square) + 1]
    diagonal += RIDGE * max(float(diagonal.mean()), RIDGE)
    return np.asarray(np.linalg.solve(square, on @ target), dtype=np.float64)


def _polynomial(coefficients: Vector, season: int = 1) -> Vector:
    """1 + c_1 B^s + c_2 B^2s + ..."""
    whole = np.zeros(len(coefficients) * season + 1)
    whole[0] = 1
    whole[season::season] = coefficients
    return whole
