"""Data for other systems, and for the page's own charts: JSON, paged, with ETags, described by OpenAPI."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from forecasting.core.errors import StoreError
from forecasting.reporting.queries import forecasts as outside
from forecasting.reporting.queries import plans
from forecasting.reporting.queries import series as many
from forecasting.reporting.queries.exceptions import exceptions as raised
from forecasting.reporting.queries.exceptions import mark
from forecasting.reporting.queries.store import Vintage
from forecasting.web.access import Planning, Reading, Visit
from forecasting.web.responses import answer, rows

router = APIRouter(tags=["forecasts"])
Told = dict[int | str, dict[str, Any]]
REFUSED: Told = {
    401: {"description": "no login"}, 403: {"description": "the role does not allow it"},
    422: {"description": "a parameter is wrong; which, and what is allowed, is said"},
}  # fmt: skip
READ: Told = {**REFUSED, 304: {"description": "unchanged since the ETag that was sent as If-None-Match"}}
FOUND: Told = {**READ, 404: {"description": "there is no such vintage or series"}}
Name = Annotated[str, Query(max_length=200)]


class Paged(BaseModel):
    """Which part of a long list."""

    model_config = ConfigDict(extra="forbid")
    where: list[str] = Field([], max_length=20, description="further attributes, each as name:value")
    limit: int = Field(50, ge=1, le=500, description="series (or groups) a page")
    after: str = Field("", max_length=200, description="`next` of the page before")

    def pairs(self) -> dict[str, str]:
        """The attributes by name. 422 for what is no name:value."""
        found = {}
        for text in self.where:
            name, separator, value = text.partition(":")
            if not separator:
                raise HTTPException(422, f"where: write {text[:50]!r} as name:value")
            found[name] = value
        return found


class Wanted(Paged):
    """Which forecasts."""

    cutoff: date | None = Field(None, description="of the vintage; left out: the newest")
    level: str = Field("series", max_length=100, description="series, total, or a level of panel.levels")
    unique_id: str = Field("", max_length=200)
    store: str = Field("", max_length=200)
    item: str = Field("", max_length=200)
    category: str = Field("", max_length=200)

    def pairs(self) -> dict[str, str]:
        """The attributes by name."""
        named = {name: getattr(self, name) for name in ("unique_id", "store", "item", "category")}
        return {name: value for name, value in named.items() if value} | super().pairs()


class Search(Paged):
    """Which series."""

    q: str = Field("", max_length=200, description="words in their names or attributes")


class Page(BaseModel):
    """A page of forecasts."""

    cutoff: date = Field(description="last day whose sales were known")
    level: str
    total: int = Field(description="series (or groups) that fit, over all pages")
    next: str | None = Field(description="send it as `after` for the next page; null: this was the last")
    rows: list[dict[str, Any]] = Field(description="a row a series and period, as in the table forecasts")


@router.get("/forecasts", response_model=Page, responses=FOUND)
def forecasts(visit: Reading, wanted: Annotated[Wanted, Query()]) -> Response:
    """Forecasts of a vintage, by series or level, filtered by attributes; whole series by page, in order of name."""
    store, vintage, level = visit.store, _vintage(visit, wanted.cutoff), wanted.level
    if level not in ("series", "total", *store.settings.panel.levels):
        raise HTTPException(422, f"level: one of series, total, {', '.join(store.settings.panel.levels)}")
    try:
        names = outside.names(store, vintage, level, wanted.pairs())
    except KeyError as error:
        raise HTTPException(422, f"{level} cannot be filtered by {error}.") from None
    rest = [name for name in names if name > wanted.after]
    chosen, more = rest[: wanted.limit], len(rest) > wanted.limit
    content = {
        "cutoff": vintage.cutoff.isoformat(), "level": level, "total": len(names),
        "next": chosen[-1] if more else None, "rows": rows(outside.page(store, vintage, level, chosen)),
    }  # fmt: skip
    headers = {}
    if more:
        following = visit.request.url.include_query_params(after=chosen[-1])
        headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return answer(visit.request, content, headers)


@router.get("/vintages", responses=READ)
def vintages(visit: Reading, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
    """Cutoffs of the published vintages, newest first."""
    return answer(visit.request, {"cutoffs": [day.isoformat() for day in outside.vintages(visit.store, limit)]})


@router.get("/series", responses=FOUND)
def series(visit: Reading, wanted: Annotated[Search, Query()]) -> Response:
    """The series of the newest vintage with attributes, classes and accuracy."""
    vintage = visit.vintage
    try:
        found = many.matching(visit.store.catalogue(vintage), wanted.q, wanted.pairs()).sort_values("unique_id")
    except KeyError as error:
        raise HTTPException(422, f"Series have no attribute {error}.") from None
    rest = found[found["unique_id"] > wanted.after]
    shown = rest.head(wanted.limit)
    following = str(shown["unique_id"].iloc[-1]) if len(rest) > wanted.limit else None
    content = {"cutoff": vintage.cutoff.isoformat(), "total": len(found), "next": following, "rows": rows(shown)}
    return answer(visit.request, content)


@router.get("/chart", responses=FOUND)
def chart(visit: Reading, name: Name, level: Name = "series") -> Response:
    """History, forecast with its quantiles, and past vintages of one series or total, as columns."""
    vintage = visit.vintage
    found = many.one(visit.store, vintage, level, name)
    if found is None:
        raise HTTPException(404, f"The vintage of {vintage.cutoff} has no {level} {name!r}.")
    plan = plans.changed(visit.store, vintage, level, name)
    return answer(visit.request, many.chart(vintage, found, visit.store.frequency.code, plan))


@router.get("/exceptions", responses=FOUND)
def exceptions(visit: Reading) -> Response:
    """The series to look at first, by rank."""
    vintage = visit.vintage
    content = {"cutoff": vintage.cutoff.isoformat(), "rows": rows(raised(visit.store, vintage))}
    return answer(visit.request, content)


class Mark(BaseModel):
    """What becomes of an exception."""

    model_config = ConfigDict(extra="forbid")
    unique_id: str = Field(max_length=200)
    state: Literal["open", "taken", "done"]
    note: str = Field("", max_length=500)


@router.post("/exceptions", responses=REFUSED)
def mark_exception(visit: Planning, said: Annotated[Mark, Body()]) -> Response:
    """Take an exception, mark it done, or open it again; the user is its owner."""
    owner = "" if said.state == "open" else visit.user
    told = {"state": said.state, "owner": owner, "note": said.note}
    try:
        mark(visit.store, visit.vintage, said.unique_id, told, datetime.now(UTC))
    except StoreError as error:
        raise HTTPException(422, str(error)) from None
    return answer(visit.request, {"unique_id": said.unique_id, **told})


def _vintage(visit: Visit, cutoff: date | None) -> Vintage:
    found = visit.store.vintage(cutoff)
    if found is None:
        raise HTTPException(404, f"There is no vintage of {cutoff}." if cutoff else "No forecasts were published yet.")
    return found
