"""Who may see the page, and who may change a plan: what Airflow says of the DAG `forecast`.

Reading needs the right to read it, planning the right to start it. With the simple auth manager these are the roles
viewer and user.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from fastapi import Depends, HTTPException, Request

from forecasting.reporting.queries.store import Store, Vintage

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

DAG = "forecast"


@dataclass(frozen=True)
class Visit:
    """One request of somebody who may make it. planning: whether this user may change plans too."""

    request: Request
    user: str
    planning: bool

    @cached_property
    def store(self) -> Store:
        """The store of the application."""
        store: Store = self.request.app.state.open_store()
        return store

    @cached_property
    def vintage(self) -> Vintage:
        """The newest vintage. 404 before the first night."""
        found = self.store.vintage()
        if found is None:
            raise HTTPException(404, "No forecasts have been published yet: run the first night (the DAG extract).")
        return found


def reading(request: Request, user: GetUserDep) -> Visit:
    """401 without a login, 403 where the user may not read the DAG."""
    if not _allowed(user, "GET", None):
        raise HTTPException(403, f"You may not see forecasts: that needs the right to read the DAG {DAG}.")
    return Visit(request, str(user.get_name()), _allowed(user, "POST", DagAccessEntity.RUN))


def planning(request: Request, user: GetUserDep) -> Visit:
    """401 without a login, 403 where the user may not start the DAG, or where another site has sent this."""
    if not _allowed(user, "POST", DagAccessEntity.RUN):
        raise HTTPException(403, f"You may not change plans: that needs the right to run the DAG {DAG}.")
    same_origin(request)
    return Visit(request, str(user.get_name()), True)


def same_origin(request: Request) -> None:
    """403 for a change that another site made this browser send: the session's cookie alone proves no intention.

    A browser names the origin of what it sends and no page can forge it; a program that shows its token in the header
    needs none.
    """
    headers = request.headers
    if headers.get("authorization", "").lower().startswith("bearer "):
        return
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    here = {headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="") or "").netloc} - {""}
    if site == "same-origin" or (site is None and origin and urlsplit(origin).netloc in here):
        return
    raise HTTPException(403, "This change did not come from the page itself: open it in Airflow and try again.")


def _allowed(user: BaseUser, method: ResourceMethod, entity: DagAccessEntity | None) -> bool:
    details = DagDetails(id=DAG, team_name=_team())
    return bool(get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user))


def _team() -> str | None:
    if not conf.getboolean("core", "multi_team", fallback=False):
        return None
    from airflow.models.dag import DagModel

    return DagModel.get_team_name(DAG)


Reading = Annotated[Visit, Depends(reading)]
Planning = Annotated[Visit, Depends(planning)]
