"""Errors: one tree, drawn as it is, and bounded lists of examples."""

from __future__ import annotations

import inspect
import re

import pytest

from forecasting.core import errors
from forecasting.core.errors import ForecastingError, some


def raised() -> dict[str, type[ForecastingError]]:
    classes = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}
    return {name: kind for name, kind in classes.items() if kind.__module__ == errors.__name__}


def test_every_error_descends_from_one():
    assert all(issubclass(kind, ForecastingError) for kind in raised().values())


def test_the_tree_at_the_top_of_the_file_is_the_real_one():
    drawn: dict[str, str | None] = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"([│ ]*)([├└]── )?([A-Za-z]+Error)\b", line):
            depth = len(match[1]) // 4 + (1 if match[2] else 0)
            parents[depth:] = [match[3]]
            drawn[match[3]] = parents[depth - 1] if depth else None
    assert drawn.pop("ForecastingError", "absent") is None
    assert drawn == {name: kind.__base__.__name__ for name, kind in raised().items() if name != "ForecastingError"}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b", "c", "d", "e"], "a, b, c, d, e"),
        (["a", "b", "c", "d", "e", "f"], "a, b, c, d, e and 1 more"),
        (range(1209), "0, 1, 2, 3, 4 and 1,204 more"),
    ],
)
def test_at_most_five_examples(values, text):
    assert some(values) == text


def test_any_iterable_and_any_limit():
    assert some((letter for letter in "abc"), most=2) == "a, b and 1 more"
