"""Templates, and what each of them is given."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from forecasting.reporting.messages.languages import COOKIE, LANGUAGES, Words, language
from forecasting.reporting.theme.environment import environment
from forecasting.web.access import Visit
from forecasting.web.responses import rows

VIEWS = (
    ("", "Today"),
    ("series", "Series"),
    ("overrides", "Overrides"),
    ("replenishment", "Replenishment"),
    ("accuracy", "Accuracy"),
    ("models", "Models"),
)


@cache
def _environment() -> Environment:
    made = environment("forecasting.web")
    made.filters["records"] = rows
    made.globals["query"] = query
    return made


def words(request: Request) -> Words:
    """The reader's language."""
    asked = request.query_params.get("lang")
    return Words(language(asked, request.cookies.get(COOKIE), request.headers.get("accept-language")))


def query(**values: Any) -> str:
    """`?a=b`: only what has a value; the first page needs none."""
    given = {name: value for name, value in values.items() if value not in (None, "", 1)}
    return f"?{urlencode(given)}" if given else ""


def show(visit: Visit, view: str, **facts: Any) -> Response:
    """A view of somebody who may see it."""
    return _page(visit.request, view, 200, user=visit.user, planning=visit.planning, **facts)


def problem(request: Request, status: int, detail: str) -> Response:
    """A page that says what is wrong, and with a way to log in where that is it."""
    return _page(request, "problem", status, user="", planning=False, number=status, detail=detail)


def _page(request: Request, view: str, status: int, **facts: Any) -> Response:
    """A template's page. It gets `t` (the language), `base` (the address of the application) and the facts."""
    t, base = words(request), str(request.scope.get("root_path", "")).rstrip("/")

    def static(name: str) -> str:
        return f"{base}/static/{name}?v={static_files()[name][2][:12]}"

    others = {
        code: f"{request.url.path}?{urlencode({**request.query_params, 'lang': code})}"
        for code in LANGUAGES
        if code != t.language
    }
    given = {
        "t": t, "base": base, "above": base.rsplit("/", 1)[0], "views": VIEWS, "static": static, "others": others,
        "here": request.url.path.removeprefix(base).strip("/"), "languages": LANGUAGES,
    }  # fmt: skip
    answered = HTMLResponse(_environment().get_template(f"{view}.html").render(**given, **facts), status)
    asked = request.query_params.get("lang")
    if asked in LANGUAGES:
        answered.set_cookie(COOKIE, str(asked), max_age=31536000, path=base or "/", httponly=True, samesite="lax")
    answered.headers["Vary"] = "Accept-Language, Cookie"
    return answered


MEDIA = {
    ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".LICENSE": "text/plain; charset=utf-8",
}  # fmt: skip


@cache
def static_files() -> dict[str, tuple[bytes, str, str]]:
    """Body, media type and ETag of every static file by its name: nothing else can be asked for."""
    found = {}
    ours = [files(package).joinpath("static") for package in ("forecasting.web", "forecasting.reporting.theme")]
    for file in (file for folder in ours for file in folder.iterdir()):
        ending = file.name[file.name.rfind(".") :]
        if ending in MEDIA:
            body = file.read_bytes()
            found[file.name] = (body, MEDIA[ending], hashlib.sha256(body).hexdigest()[:32])
    return found
