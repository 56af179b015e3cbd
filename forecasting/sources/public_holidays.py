"""Public holidays by country and region as rows of the events table, from the library `holidays` (MIT).

They are written into the snapshot of the night like any table, so that a forecast can be made again with the holidays
that it was made with, whatever the library says later.
"""

from __future__ import annotations

from datetime import date

import holidays
import pandas as pd

from forecasting.core.config.sections import HolidayTable
from forecasting.core.errors import SettingsError, some

YEARS = 12  # before the cutoff that holidays are written for
COLUMNS = ("ds", "event", "store", "group")


def rows(table: HolidayTable, stores: pd.DataFrame | None, cutoff: date, last: date) -> pd.DataFrame:
    """ds, event, store (empty = all), group (empty), from twelve years before the cutoff to `last`.

    stores: the stores table, for `country_by` and `subdivision_by`; a store without a country has no holidays of its
    own. Raises SettingsError for a column, country or region that there is not, naming what is allowed.
    """
    days = (date(cutoff.year - YEARS, 1, 1), last)
    found = []
    for (country, region), names in _places(table, stores).items():
        own = _days(country, region, table.language, days)
        found += [own.assign(store=name) for name in names]
    whole = pd.concat(found, ignore_index=True) if found else pd.DataFrame({"ds": [], "event": [], "store": []})
    return whole.assign(ds=pd.to_datetime(whole["ds"]), group="")[list(COLUMNS)]


def merged(events: pd.DataFrame | None, own: pd.DataFrame) -> pd.DataFrame:
    """The declared calendar and the holidays; what both say counts once."""
    if events is None:
        return own
    both = pd.concat([events.astype(dict.fromkeys(COLUMNS[1:], "str")), own], ignore_index=True)
    return both.drop_duplicates(list(COLUMNS), ignore_index=True)


def _places(table: HolidayTable, stores: pd.DataFrame | None) -> dict[tuple[str, str | None], list[str]]:
    """Stores by country and region; one entry for all of them where neither differs."""
    by = {"country_by": table.country_by, "subdivision_by": table.subdivision_by}
    asked = {key: column for key, column in by.items() if column}
    if not asked:
        return {(str(table.country), table.subdivision): [""]}
    for key, column in asked.items():
        if stores is None or column not in stores:
            there = "there is no [extract.stores]" if stores is None else f"they have: {some(stores.columns, 20)}"
            raise SettingsError(f"extract.holidays.{key}: the stores have no column {column!r}; {there}.")
    found: dict[tuple[str, str | None], list[str]] = {}
    for row in stores.astype("str").to_dict("records") if stores is not None else ():
        country = row[table.country_by].strip() if table.country_by else str(table.country)
        region = row[table.subdivision_by].strip() if table.subdivision_by else table.subdivision
        if country:
            found.setdefault((country, region or None), []).append(row["store"])
    return found


def _days(country: str, region: str | None, language: str, days: tuple[date, date]) -> pd.DataFrame:
    """ds, event of one country and region. Several names of a day are several events."""
    code = country.upper()
    supported = holidays.list_supported_countries()
    if code not in supported:
        raise SettingsError(
            f"extract.holidays: there is no country {country!r}; write its ISO 3166 code, such as DE, BR or US."
        )
    spoken = language if language in holidays.list_localized_countries().get(code, ()) else None
    try:
        calendar = holidays.country_holidays(
            code, subdiv=region, years=range(days[0].year, days[1].year + 1), language=spoken
        )
    except NotImplementedError:
        raise SettingsError(
            f"extract.holidays: {code} has no region {region!r}; allowed are: {some(supported[code], 60)}."
        ) from None
    inside = [(day, name) for day in sorted(calendar) if days[0] <= day <= days[1] for name in calendar.get_list(day)]
    return pd.DataFrame(inside, columns=["ds", "event"])
