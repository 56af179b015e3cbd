"""Work shared by processes: the same results in the same order, whatever happens to a process, under Celery too."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from forecasting.core.config.sections import ArimaSettings
from forecasting.models.arima import model as arima
from forecasting.models.arima import workers as parallel
from forecasting.models.arima.model import Arima
from forecasting.models.arima.workers import spread, workers
from tests.support.panels import seasonal_panel


def double(tasks: list[Any]) -> list[Any]:
    """Chatty, as libraries are."""
    print("working")  # noqa: T201
    return [[2 * number, os.getpid()] for number in tasks]


def threads(tasks: list[Any]) -> list[Any]:
    return [max(pool["num_threads"] for pool in threadpool_info()) for _ in tasks]


def dies_elsewhere(tasks: list[Any]) -> list[Any]:
    if os.environ.get("ALIVE") != str(os.getpid()):
        os._exit(3)
    return [-number for number in tasks]


def forgets(tasks: list[Any]) -> list[Any]:
    return tasks if os.environ.get("ALIVE") == str(os.getpid()) else tasks[1:]


def test_a_process_is_started_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert [workers(0, seconds) for seconds in (0.0, 5.9, 6.0, 13.0, 1000.0)] == [1, 1, 2, 4, 8]
    assert [workers(limit, 1000.0) for limit in (1, 2, 3)] == [1, 2, 3]


@pytest.mark.parametrize("tasks", [[1.5, 2, 3, 4, 5], [1, 2], [1], []])
def test_answers_come_in_order_from_several_processes(tasks: list[float]) -> None:
    found = spread(double, tasks, 3)
    assert [answer for answer, _ in found] == [2 * number for number in tasks]
    assert len({process for _, process in found}) == min(len(tasks), 3)


def test_numbers_pass_bit_for_bit() -> None:
    values = [0.1 + 0.2, 1e-308, -0.0, 1 / 3, float("inf")]
    found = spread(double, values, 5)
    assert [answer.hex() for answer, _ in found] == [(2 * value).hex() for value in values]


def test_each_process_has_one_thread_for_matrices() -> None:
    assert spread(threads, [1, 2], 2) == [1, 1]


@pytest.mark.parametrize("work", [dies_elsewhere, forgets])
def test_what_a_process_fails_at_is_done_here(monkeypatch: pytest.MonkeyPatch, caplog, work) -> None:
    monkeypatch.setenv("ALIVE", str(os.getpid()))
    expected = work([1, 2, 3])
    assert spread(work, [1, 2, 3], 2) == expected
    assert "its share is done here" in caplog.text


def test_where_no_process_can_be_started_all_is_done_here(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setattr(parallel.sys, "executable", "no-such-python")
    assert [process for _, process in spread(double, [1, 2], 2)] == [os.getpid()] * 2
    assert "No process could be started" in caplog.text


# ---------------------------------------------------------------- ARIMA


def fit_in_two(answer: Any = None) -> tuple[Arima, np.ndarray]:
    """ARIMA in two processes, whether it pays or not."""
    parallel.START = 1e-6
    panel = seasonal_panel(6, 112).first(105)
    model = Arima(ArimaSettings(), threads=2).fit(panel, 7)
    mean = model.predict(panel, 7).mean
    if answer is not None:
        answer.put((model.orders(), mean.tolist()))
    return model, mean


def test_arima_gives_the_same_numbers_in_parallel_and_in_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    monkeypatch.setattr(arima, "spread", lambda *given: (counts.append(given[2]), spread(*given))[1])
    monkeypatch.setattr(parallel, "START", parallel.START)  # to be put back
    several, mean = fit_in_two()
    panel = seasonal_panel(6, 112).first(105)
    one = Arima(ArimaSettings(), threads=1).fit(panel, 7)
    assert counts == [2, 2, 1]
    assert (one.groups, one.notes) == (several.groups, several.notes)
    np.testing.assert_array_equal(one.predict(panel, 7).mean, mean)


def test_arima_works_in_a_daemonic_process_as_under_celery() -> None:
    context = multiprocessing.get_context("spawn")
    answer = context.SimpleQueue()
    process = context.Process(target=fit_in_two, args=(answer,), daemon=True)
    process.start()
    process.join(120)
    assert process.exitcode == 0
    orders, mean = answer.get()
    assert sum(orders.values()) == 6
    panel = seasonal_panel(6, 112).first(105)
    np.testing.assert_array_equal(mean, Arima().fit(panel, 7).predict(panel, 7).mean.tolist())
