"""Methods for rare demand: by hand, against statsforecast, and what gaps and scale must not change; then the choice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.core.errors import ArtifactError, ModelError
from forecasting.models.intermittent import methods
from forecasting.models.intermittent.methods import METHODS
from forecasting.models.intermittent.model import SPEC_FILE, Intermittent, _profile
from forecasting.panel.panel import Matrix
from tests.support.panels import panel_of

NAN = float("nan")
every_method = pytest.mark.parametrize("name", METHODS)


def matrix(*rows: list[float]) -> Matrix:
    """Rows that end together, NaN in front of the shorter ones."""
    width = max(len(row) for row in rows)
    return np.array([[NAN] * (width - len(row)) + row for row in rows], dtype=np.float32)


# ---------------------------------------------------------------- by hand


def test_observed_periods_move_to_the_right() -> None:
    found = methods.observed(matrix([NAN, 1, NAN, 2], [3, NAN, NAN, NAN], [NAN] * 4))
    np.testing.assert_array_equal(found, [[1, 2], [NAN, 3], [NAN, NAN]])


def test_smoothing_by_hand() -> None:
    level, squared = methods.smooth(np.array([[4.0, 8.0, 2.0]]), 0.5)
    # 4; then 8 is missed by 4: 6; then 2 is missed by -4: 4.
    assert level.tolist() == [4.0]
    assert squared.tolist() == [32.0]


def test_croston_and_sba_by_hand() -> None:
    y = matrix([0, 3, 0, 0, 5, 0])
    # Size 3 then 5: 3.2. Interval 2 then 3: 2.1.
    np.testing.assert_allclose(methods.croston(y), [3.2 / 2.1])
    np.testing.assert_allclose(methods.sba(y), [0.95 * 3.2 / 2.1])


def test_a_series_that_begins_with_a_demand_has_seen_no_interval_yet() -> None:
    y = matrix([3, 0, 0, 5, 0], [4, 0, 0, 0, 0])
    np.testing.assert_allclose(methods.croston(y), [3.2 / 3, 4 / 5])  # an interval of 3; at least 5 periods


def test_tsb_by_hand() -> None:
    # Chance 0, 0.5 after the demand, 0.25 after nothing; size 8.
    np.testing.assert_allclose(methods.tsb(matrix([0, 8, 0]), 0.1, 0.5), [2.0])


def test_tsb_falls_while_nothing_is_sold_and_croston_does_not() -> None:
    y = matrix([0, 4, 0, 4, 0, 4, 0, 4], [0, 4, 0, 4, 0, 4, 0, 4, *[0] * 12])
    assert methods.croston(y)[0] == pytest.approx(methods.croston(y)[1])
    assert methods.tsb(y, 0.1, 0.1)[1] < 0.4 * methods.tsb(y, 0.1, 0.1)[0]


def test_adida_by_hand() -> None:
    # Demand every second period: blocks of two, counted from the end, all of 6; the odd period in front is left out.
    np.testing.assert_allclose(methods.adida(matrix([0, 0, 6, 0, 6, 0, 6])), [3.0])


def test_imapa_is_the_mean_over_block_lengths() -> None:
    y = matrix([0, 0, 6, 0, 6, 0, 6])
    single = methods.smooth_best(methods.observed(y))
    np.testing.assert_allclose(methods.imapa(y), (single + 3.0) / 2)


# ---------------------------------------------------------------- golden

# statsforecast 2.1.1: CrostonClassic, CrostonOptimized, CrostonSBA, TSB(0.2, 0.1), ADIDA, IMAPA, forecast(y, h=1).
GOLDEN = (
    (
        [0, 3, 0, 0, 5, 0, 2, 0, 0, 0, 6, 0, 4, 0, 0, 3],
        (1.456996661811901, 1.3110696812483933, 1.384146828721306, 1.1715837654915042, 1.2262, 1.3594609686855605),
    ),
    (
        [0, 0, 10, 0, 0, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 7],
        (2.7913699762647672, 2.383097280283757, 2.651801477451529, 2.5592212520888835, 2.4058, 2.646717705748979),
    ),
    (
        [0, 4, 5, 3, 6, 4, 5, 4, 4, 7, 3, 5, 6],
        (3.4731515719922035, 4.527605951278963, 3.299493993392593, 3.4826342105819665, 4.98258653, 4.98258653),
    ),
)


@pytest.mark.parametrize(("row", "expected"), GOLDEN)
def test_the_methods_agree_with_statsforecast(row: list[float], expected: tuple[float, ...]) -> None:
    y = matrix(row)
    found = [
        method(y)[0]
        for method in (
            methods.croston, lambda rows: methods.croston(rows, None), methods.sba,
            lambda rows: methods.tsb(rows, 0.2, 0.1), methods.adida, methods.imapa,
        )
    ]  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=3e-5)  # their search for the best smoothing stops earlier


# ---------------------------------------------------------------- properties

rows = st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, 3.0, 20.0]), min_size=4, max_size=40)


@every_method
@given(row=rows, gaps=st.lists(st.integers(0, 40), max_size=6))
def test_unobserved_periods_change_nothing(name: str, row: list[float], gaps: list[int]) -> None:
    gappy = list(row)
    for place in gaps:
        gappy.insert(min(place, len(gappy)), NAN)
    np.testing.assert_allclose(METHODS[name](matrix(gappy)), METHODS[name](matrix(row)))


@every_method
@given(many=st.lists(rows, min_size=2, max_size=5))
def test_every_series_is_forecast_as_if_alone(name: str, many: list[list[float]]) -> None:
    alone = [METHODS[name](matrix(row))[0] for row in many]
    np.testing.assert_allclose(METHODS[name](matrix(*many)), alone)


@every_method
@given(row=rows)
def test_units_do_not_matter_and_forecasts_stay_within_what_was_seen(name: str, row: list[float]) -> None:
    found = METHODS[name](matrix(row))
    np.testing.assert_allclose(METHODS[name](matrix([8 * value for value in row])), 8 * found, rtol=1e-5)
    assert 0 <= found[0] <= max(row) + 1e-9


@every_method
def test_nothing_sold_and_nothing_seen_are_zero(name: str) -> None:
    assert METHODS[name](matrix([0, 0, 0, 0], [NAN] * 4)).tolist() == [0.0, 0.0]


# ---------------------------------------------------------------- the choice


def rare(count: int = 40, periods: int = 60, seed: int = 3) -> list[list[float]]:
    random = np.random.default_rng(seed)
    return [[float(value) for value in random.binomial(1, 0.2, periods) * 4] for _ in range(count)]


def test_each_class_of_demand_has_a_method_and_what_it_was_chosen_by() -> None:
    model = Intermittent().fit(panel_of(rare(), frequency="M"), 3)
    assert set(model.chosen) == {"smooth", "erratic", "intermittent", "lumpy"}
    assert set(model.errors["intermittent"]) == set(METHODS)
    assert model.chosen["intermittent"] == min(METHODS, key=lambda name: model.errors["intermittent"][name])
    assert model.errors["smooth"] == {}
    assert model.chosen["smooth"] == "sba"


def test_parts_that_die_out_are_given_to_tsb() -> None:
    random = np.random.default_rng(5)
    fading = [
        [float(value) for value in random.binomial(1, 0.6, 60) * (np.arange(60) < end) * 5]
        for end in random.integers(20, 60, 80)
    ]
    assert Intermittent().fit(panel_of(fading, frequency="M"), 3).chosen["intermittent"] == "tsb"


def test_weeks_and_months_are_flat_and_days_follow_the_weekday() -> None:
    months = panel_of(rare(4), frequency="M")
    found = Intermittent().fit(months, 3).predict(months, 3).mean
    np.testing.assert_array_equal(found, np.repeat(found[:, :1], 3, axis=1))
    days = panel_of([[1, 1, 1, 1, 1, 4, 5] * 9] * 2)  # ends on a Sunday
    week = Intermittent().fit(days, 7).predict(days, 7).mean[0]
    np.testing.assert_allclose(week / week.mean(), [0.5, 0.5, 0.5, 0.5, 0.5, 2, 2.5], rtol=0.03)


def test_a_series_with_few_sales_has_the_weekdays_of_its_group() -> None:
    busy, rare_one = [1, 1, 1, 1, 1, 4, 5] * 9, [0] * 60 + [1, 0, 0]
    found = _profile(panel_of([busy, busy, busy, rare_one], levels=()), 7)
    np.testing.assert_allclose(found[0], found[3], atol=0.12)
    assert found[3].argmax() == 6


def test_the_rate_of_rare_demand_is_found() -> None:
    panel = panel_of(rare(200, 90), frequency="W-MON")
    mean = Intermittent().fit(panel, 8).predict(panel, 8).mean
    assert mean.mean() == pytest.approx(0.8, rel=0.1)  # 4 units in one of five weeks


def test_it_is_refused_before_it_was_fitted() -> None:
    with pytest.raises(ModelError, match="before they were fitted"):
        Intermittent().predict(panel_of([[1.0, 0.0]]), 2)


def test_a_method_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / SPEC_FILE).write_text(json.dumps({"chosen": {"lumpy": "magic"}, "errors": {}}))
    with pytest.raises(ArtifactError, match=r"does not hold the intermittent methods: methods \['magic'\]"):
        Intermittent.load(tmp_path)
