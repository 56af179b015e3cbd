"""What people change and order: pages, and the part of the API that writes; `steps.overrides` checks all of it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from forecasting.core.errors import CutoffError, PlanningError, PublishError
from forecasting.planning.overrides import Override
from forecasting.reporting.queries import plans
from forecasting.reporting.queries.series import choices
from forecasting.steps.forecast import overrides as steps
from forecasting.web import pages, responses
from forecasting.web.access import Planning, Reading, Visit
from forecasting.web.api import READ, REFUSED
from forecasting.web.responses import answer, rows

PAGE = 50
OWN = ("sort", "page", "lang")
REASONS = ("promotion", "price", "event", "listing", "competition", "customer", "weather", "other")
router, api = APIRouter(), APIRouter(tags=["plans"])
Text = Annotated[str, Query(max_length=500)]


class Change(BaseModel):
    """What somebody says instead of the statistical forecast."""

    model_config = ConfigDict(extra="forbid")
    level: str = Field(max_length=200, description="series, total, or a level of panel.levels")
    name: str = Field(max_length=500, description="the series, or the value of the level; all for total")
    start: date = Field(description="first day")
    end: date = Field(description="last day")
    kind: Literal["percent", "absolute"]
    value: float = Field(allow_inf_nan=False, description="percent on top, or units a period of the whole group")
    reason: str = Field(max_length=200)
    note: str = Field("", max_length=2000)
    expires: date | None = Field(None, description="last cutoff whose vintage it changes; left out: no end")
    replaces: str | None = Field(None, max_length=100, description="id of the override that this is a new version of")

    def override(self, by: str) -> Override:
        """As planning knows it."""
        return Override(**self.model_dump(exclude={"replaces"}), by=by)


class Withdrawal(BaseModel):
    """Why an override is taken back."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field(max_length=100)
    reason: str = Field(max_length=200)


@router.get("/overrides")
def overrides(visit: Reading, level: Text = "series", name: Text = "", every: bool = False) -> Response:
    """The form, the list, and what overrides were worth."""
    store, vintage = visit.store, visit.vintage
    first, last = store.ahead(vintage)
    levels = ["series", "total", *store.settings.panel.levels]
    given = {"level": level if level in levels else "series", "name": name, "levels": levels, "reasons": REASONS}
    names = choices(store.catalogue(vintage))
    values = sorted({value for one in store.settings.panel.levels for value in names.get(one, [])})
    facts = {"vintage": vintage, "first": first, "last": last, "every": every, "values": values}
    worth = plans.worth(store).to_dict("records")
    return pages.show(visit, "overrides", rows=plans.overrides(store, vintage, every), worth=worth, **given, **facts)


@api.get("/overrides", responses=READ)
def list_overrides(visit: Reading, every: bool = False) -> Response:
    """Overrides, newest first, with what each makes of the newest vintage; every: withdrawn and expired ones too."""
    found = plans.overrides(visit.store, visit.vintage, every)
    return answer(
        visit.request, {"rows": [{name: responses.plain(value) for name, value in row.items()} for row in found]}
    )


@api.post("/overrides", responses=REFUSED)
def make_override(visit: Planning, said: Annotated[Change, Body()]) -> Response:
    """Take an override, or a new version of one; the newest vintage shows it at once, beside the statistics."""
    with_errors = _refused(lambda: steps.submit(visit.store.settings, said.override(visit.user), said.replaces))
    return answer(visit.request, with_errors)


@api.post("/overrides/preview", responses=REFUSED)
def preview_override(visit: Planning, said: Annotated[Change, Body()]) -> Response:
    """What it would make of the newest vintage, without keeping it."""
    found = _refused(lambda: steps.preview(visit.store.settings, said.override(visit.user), said.replaces))
    series = found[found["level"] == "series"]
    return answer(
        visit.request,
        {
            "series": int(series["name"].nunique()), "periods": int(series["ds"].nunique()),
            "before": float(series["mean"].sum()), "after": float(series["override"].sum()),
        },
    )  # fmt: skip


@api.post("/overrides/withdraw", responses=REFUSED)
def withdraw_override(visit: Planning, said: Annotated[Withdrawal, Body()]) -> Response:
    """Take an override back: a new version of it says so, and the newest vintage goes without it at once."""
    settings = visit.store.settings
    return answer(visit.request, _refused(lambda: steps.withdraw(settings, said.id, visit.user, said.reason)))


@router.get("/replenishment")
def replenishment(visit: Reading, sort: Text = "money", page: Annotated[int, Query(ge=1, le=100_000)] = 1) -> Response:
    """What to order today, and why."""
    found, wanted = _proposals(visit, sort)
    catalogue = visit.store.catalogue(visit.vintage)
    shown = found.iloc[(page - 1) * PAGE : page * PAGE].to_dict("records")
    return pages.show(
        visit, "replenishment", vintage=visit.vintage, rows=shown, found=len(found), page=page, sort=sort,
        wanted=wanted, last=max(1, -(-len(found) // PAGE)), choices=choices(catalogue),
        sorts=plans.ORDERS, totals=plans.totals(found),
    )  # fmt: skip


@router.get("/replenishment.csv")
def replenishment_file(visit: Reading, sort: Text = "money") -> Response:
    """The same as a file, all of it."""
    found, _ = _proposals(visit, sort)
    return responses.table(f"replenishment_{visit.vintage.cutoff}", found.drop(columns="run_id"))


@api.get("/replenishment", responses=READ)
def list_replenishment(visit: Reading, sort: Text = "money") -> Response:
    """What to order after the newest night; any attribute, abc, xyz and status filter by their value."""
    found, _ = _proposals(visit, sort)
    return answer(visit.request, {"cutoff": visit.vintage.cutoff.isoformat(), "rows": rows(found)})


def _proposals(visit: Visit, sort: str) -> tuple[Any, dict[str, str]]:
    given = visit.request.query_params.items()
    wanted = {name: value[:200] for name, value in given if name not in OWN and value}
    if sort not in plans.ORDERS:
        raise HTTPException(422, f"sort: one of {', '.join(plans.ORDERS)}")
    try:
        return plans.proposals(visit.store, visit.vintage, wanted, sort), wanted
    except KeyError as error:
        raise HTTPException(422, f"Proposals cannot be filtered by {error}.") from None


def _refused(do: Any) -> Any:
    """What planning refuses is said as it says it."""
    try:
        return do()
    except (PlanningError, PublishError, CutoffError) as error:
        raise HTTPException(422, str(error)) from None
