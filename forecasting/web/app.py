"""The application that Airflow mounts at `/forecasts`: pages, data, static files, all of it behind Airflow's login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

import forecasting
from forecasting.airflow.connections import load
from forecasting.airflow.schedule import conf_path
from forecasting.core.errors import ForecastingError
from forecasting.reporting.queries.store import Store
from forecasting.web import api, pages, plans, routes
from forecasting.web.access import Reading
from forecasting.web.responses import answer

HEADERS = {
    # Everything comes from this server, and only Airflow's own pages show it in a frame.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
ABOUT = (
    "Forecasts, exceptions and plans of the newest night, for other systems. Log in to Airflow "
    "(`POST /auth/token`) and send the token as `Authorization: Bearer ...`."
)


def create_app(open_store: Callable[[], Store]) -> FastAPI:
    """The whole application over a store, which is opened by the first request that needs it."""
    app = FastAPI(
        title="Forecasts", version=forecasting.__version__, description=ABOUT, openapi_url=None, docs_url=None,
        redoc_url=None,
    )  # fmt: skip
    app.state.open_store = open_store
    app.include_router(routes.router, include_in_schema=False)
    app.include_router(plans.router, include_in_schema=False)
    app.include_router(api.router, prefix="/api")
    app.include_router(plans.api, prefix="/api")

    @app.get("/api/openapi.json", include_in_schema=False)
    def openapi(visit: Reading) -> Response:
        return answer(visit.request, _described(app, visit.request))

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str, visit: Reading) -> Response:  # noqa: ARG001 (nobody without a login)
        found = pages.static_files().get(name)
        if found is None:
            raise HTTPException(404, "There is no such file.")
        body, media, tag = found
        # Its address carries its content's tag (?v=), so a browser need not ask twice.
        headers = {"ETag": f'"{tag}"', "Cache-Control": "private, max-age=31536000, immutable"}
        return Response(body, media_type=media, headers=headers)

    app.middleware("http")(_guarded)
    app.exception_handler(HTTPException)(_refused)
    app.exception_handler(404)(_refused)
    app.exception_handler(RequestValidationError)(_misread)
    app.exception_handler(ForecastingError)(_failed)
    return app


@cache
def deployed() -> Store:
    """The store of FORECASTING_CONF, opened once."""
    return Store(load(conf_path()))


def _described(app: FastAPI, request: Request) -> dict[str, Any]:
    """The OpenAPI document, with the address that this application is mounted at."""
    return {**app.openapi(), "servers": [{"url": request.scope.get("root_path", "") or "/"}]}


async def _guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    answered = await call_next(request)
    for name, value in HEADERS.items():
        answered.headers.setdefault(name, value)
    answered.headers.setdefault("Cache-Control", "private, no-cache")
    return answered


def _refused(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    detail = str(getattr(error, "detail", "Not Found"))
    return _said(request, int(status), detail)


def _misread(request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in problems[:5])
    return _said(request, 422, told)


def _failed(request: Request, error: Exception) -> Response:
    """A store that refuses: what it says shows no password, and the last good vintage is what can be read again."""
    return _said(request, 503, str(error))


def _said(request: Request, status: int, detail: str) -> Response:
    below = request.url.path.removeprefix(str(request.scope.get("root_path", "")))
    if below.startswith(("/api", "/static")):
        return JSONResponse({"detail": detail}, status_code=status)
    return pages.problem(request, status, detail)
