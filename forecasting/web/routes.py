"""Addresses of the pages. Each wants a login and the right to read; what they show comes from `queries`."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Response

from forecasting.airflow.schedule import SCHEDULE
from forecasting.reporting.queries import accuracy as accuracies
from forecasting.reporting.queries import exceptions as raised
from forecasting.reporting.queries import models as versions
from forecasting.reporting.queries import plans
from forecasting.reporting.queries import series as many
from forecasting.reporting.queries.today import today as look
from forecasting.web import pages, responses
from forecasting.web.access import Reading, Visit

router = APIRouter()
PAGE = 50
OWN = ("q", "sort", "page", "lang")  # what the list of series reads besides attributes
Text = Annotated[str, Query(max_length=200)]
Number = Annotated[int, Query(ge=1, le=100_000)]


@router.get("/")
def today(visit: Reading, by: Text = "units", reason: Text = "", state: Text = "", owner: Text = "") -> Response:
    """Is it there and in order; then what to look at."""
    facts = look(visit.store, scheduled=os.environ.get(SCHEDULE, "on").lower() != "off")
    chosen = {"by": by, "reason": reason, "state": state, "owner": owner}
    listed = {"exceptions": [], "choices": {}, "money": False}
    if facts["vintage"] is not None:
        listed = raised.ranked(raised.exceptions(visit.store, facts["vintage"]), chosen)
    return pages.show(visit, "today", chosen=chosen, **listed, **facts)


@router.get("/exceptions.csv")
def exceptions_file(visit: Reading) -> Response:
    """The same list as a file."""
    vintage = visit.vintage
    return responses.table(
        f"exceptions_{vintage.cutoff}", raised.exceptions(visit.store, vintage).drop(columns="run_id")
    )


@router.get("/series")
def series(visit: Reading, q: Text = "", sort: Text = "units", page: Number = 1) -> Response:
    """Search in all series; any other word of the address is an attribute or class to filter by."""
    vintage = visit.vintage
    catalogue = visit.store.catalogue(vintage)
    given = visit.request.query_params.items()
    wanted = {name: value[:200] for name, value in given if name not in OWN and value}
    if sort not in many.SORTS:
        raise HTTPException(422, f"sort: one of {', '.join(many.SORTS)}")
    try:
        found = many.ordered(many.matching(catalogue, q, wanted), sort)
    except KeyError as error:
        raise HTTPException(422, f"Series have no attribute {error}.") from None
    shown = found.iloc[(page - 1) * PAGE : page * PAGE]
    return pages.show(
        visit, "series_list", vintage=vintage, rows=shown.to_dict("records"), found=len(found),
        total=len(catalogue.frame), page=page, last=max(1, -(-len(found) // PAGE)), q=q, sort=sort, wanted=wanted,
        choices=many.choices(catalogue), attributes=catalogue.attributes, sorts=many.SORTS,
        levels=["total", *visit.store.settings.panel.levels],
    )  # fmt: skip


@router.get("/series/one")
def one(visit: Reading, name: Text, level: Text = "series") -> Response:
    """One series, or a total of many."""
    found, store, vintage = _one(visit, level, name), visit.store, visit.vintage
    mine = []
    if level == "series":
        mine = raised.exceptions(store, vintage, name).to_dict("records")
    return pages.show(
        visit, "series", vintage=vintage, one=found, exception=mine[0] if mine else None,
        row=found.forecasts.iloc[0], attributes=store.catalogue(vintage).attributes, leads=many.by_lead(found),
        scores=many.scores(store, vintage, name), lost=many.lost(store, name),
        reasons=many.reasons(store, vintage, name),
        plan=plans.changed(store, vintage, level, name),
    )  # fmt: skip


@router.get("/series/one.csv")
def one_file(visit: Reading, name: Text, level: Text = "series") -> Response:
    """Its forecast as a file."""
    return responses.table(f"forecast_{name}_{visit.vintage.cutoff}", _one(visit, level, name).forecasts)


def _one(visit: Visit, level: str, name: str) -> many.One:
    found = many.one(visit.store, visit.vintage, level, name)
    if found is None:
        raise HTTPException(404, f"The vintage of {visit.vintage.cutoff} has no {level} {name!r}.")
    return found


@router.get("/accuracy")
def accuracy(visit: Reading, level: Text = "total", bucket: Text = "all") -> Response:
    """How good the forecasts were."""
    store, vintage = visit.store, visit.vintage
    facts = accuracies.accuracy(store, vintage, level, bucket)
    if level not in facts["levels"]:
        raise HTTPException(422, f"level: one of {', '.join(facts['levels'])}")
    duel, candidates = versions.duel(store).to_dict("records"), versions.candidates(store).to_dict("records")
    chosen = {"level": level, "bucket": bucket, "duel": duel, "candidates": candidates}
    return pages.show(visit, "accuracy", vintage=vintage, **chosen, **facts)


@router.get("/models")
def models(visit: Reading) -> Response:
    """Versions and decisions."""
    return pages.show(visit, "models", **versions.models(visit.store, visit.store.vintage()))
