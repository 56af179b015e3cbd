"""Overrides: taken from people, checked, kept in versions, and applied to the newest vintage and those that follow.

Each call writes the override and what it makes of the newest vintage in one transaction: readers see both or neither.
`publish` of the next vintage applies what still holds (`change`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd

from forecasting.core.config.settings import Settings
from forecasting.core.errors import PlanningError, PublishError, some
from forecasting.panel.hierarchy import SERIES, levels
from forecasting.panel.panel import Matrix, Panel
from forecasting.planning.overrides import Override, apply, check, check_texts, effects, members
from forecasting.steps.operate.panel_again import kept_or_rebuilt
from forecasting.steps.run import Run, now, record
from forecasting.storage.locks import alone
from forecasting.storage.warehouse.changes import Change
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import ACTIVE, OVERRIDDEN, OVERRIDES, WITHDRAWN
from forecasting.tables.views import OVERRIDES_CURRENT
from forecasting.tables.warehouse import FORECASTS

FIELDS = ("level", "name", "kind", "value", "reason", "by")


def submit(settings: Settings, wanted: Override, replaces: str | None = None) -> dict[str, Any]:
    """Take an override, or a new version of the one that it replaces; the newest vintage shows it at once.

    Returns id, version, cutoff, series (that it speaks of), periods (of the newest vintage), before and after (units
    over these periods). Raises PlanningError for one that cannot be taken, saying everything that is wrong with it,
    and PublishError where there is no vintage yet.
    """
    warehouse = Warehouse(settings.warehouse)
    with alone(settings.warehouse, "override"):
        base = _Vintage.newest(settings, warehouse)
        base.check(wanted)
        current = warehouse.view(OVERRIDES_CURRENT)
        before, others = _beside(current, wanted, replaces, base.cutoff)
        made = replace(wanted, id=replaces or uuid.uuid4().hex[:10], at=now())
        run = Run(f"override__{made.id}__{before + 1}")
        with record(settings, run, "override", base.cutoff) as outcome:
            row = _row(made, before + 1, base.cutoff, ACTIVE)
            changed = base.changed([*_overrides(others), made], run.run_id)
            warehouse.publish([_new(row), Change(OVERRIDDEN, changed, {"cutoff": base.cutoff})])
            facts = {"id": made.id, "version": before + 1} | base.told(made, changed)
            outcome.rows, outcome.snapshot = len(changed), base.panel.snapshot
            outcome.message = f"{made.by}: {made.level} {made.name}, {made.kind} {made.value:g}: {made.reason}"
    return facts


def preview(settings: Settings, wanted: Override, replaces: str | None = None) -> pd.DataFrame:
    """What an override would make of the newest vintage, without keeping it: OVERRIDDEN but for its run_id.

    Only rows that it would change. Raises what `submit` raises.
    """
    warehouse = Warehouse(settings.warehouse)
    base = _Vintage.newest(settings, warehouse)
    base.check(wanted)
    _, others = _beside(warehouse.view(OVERRIDES_CURRENT), wanted, replaces, base.cutoff)
    changed = base.changed([*_overrides(others), replace(wanted, id="preview", at=now())], "")
    return changed[changed["id"] == "preview"].drop(columns="run_id").reset_index(drop=True)


def withdraw(settings: Settings, override_id: str, by: str, reason: str) -> dict[str, Any]:
    """Take an override back: a new version that says so. The newest vintage goes without it at once.

    Returns id, version, cutoff. Raises PlanningError where there is no such override, it is withdrawn already, or the
    texts cannot be taken.
    """
    warehouse = Warehouse(settings.warehouse)
    with alone(settings.warehouse, "override"):
        base, current = _Vintage.newest(settings, warehouse), warehouse.view(OVERRIDES_CURRENT)
        before = _version(current, override_id, by)
        if problems := [*check_texts({"reason": reason, "by": by}, ("reason", "by"))]:
            raise PlanningError("This override cannot be withdrawn:\n" + "\n".join(f"  {one}" for one in problems))
        mine = current[current["id"] == override_id]
        run = Run(f"override__{override_id}__{before + 1}")
        with record(settings, run, "override", base.cutoff) as outcome:
            told: dict[str, Any] = {"version": before + 1, "state": WITHDRAWN, "by": by, "note": reason, "at": now()}
            row = mine.assign(cutoff=pd.Timestamp(base.cutoff), **told)
            others = current[(current["state"] == ACTIVE) & (current["id"] != override_id)]
            changed = base.changed(_overrides(others), run.run_id)
            warehouse.publish([_new(row), Change(OVERRIDDEN, changed, {"cutoff": base.cutoff})])
            outcome.rows, outcome.snapshot = len(changed), base.panel.snapshot
            outcome.message = f"{by} withdrew {override_id}: {reason}"
    return {"id": override_id, "version": before + 1, "cutoff": base.cutoff.isoformat()}


def listed(settings: Settings, active: bool = True) -> pd.DataFrame:
    """The newest version of every override, newest first; `active`: only those that were not withdrawn."""
    where = {"state": ACTIVE} if active else {}
    found = Warehouse(settings.warehouse).view(OVERRIDES_CURRENT, **where)
    return found.sort_values("at", ascending=False, ignore_index=True)


def history(settings: Settings, override_id: str) -> pd.DataFrame:
    """Every version of one override, oldest first; no rows where there is none."""
    return Warehouse(settings.warehouse).read(OVERRIDES, id=override_id)


def change(warehouse: Warehouse, panel: Panel, mean: Matrix, run_id: str) -> Change:
    """What overrides make of a vintage that is about to be published, (n_series, horizon) means.

    As of its cutoff: a vintage that is made up for or issued again later knows nothing that people said after it.
    """
    rows = warehouse.read(OVERRIDES)
    said = rows[rows["cutoff"] <= pd.Timestamp(panel.cutoff)].drop_duplicates("id", keep="last")
    changed = _Vintage(panel, mean).changed(_overrides(said[said["state"] == ACTIVE]), run_id)
    return Change(OVERRIDDEN, changed, {"cutoff": panel.cutoff})


def behind(warehouse: Warehouse, cutoff: date, unique_id: str, ds: date) -> list[dict[str, Any]]:
    """The overrides that one number of a vintage went through, oldest first, each as it stands now."""
    where: dict[str, Any] = {"cutoff": cutoff, "level": SERIES, "name": unique_id, "ds": ds}
    rows = warehouse.read(OVERRIDDEN, **where)
    if rows.empty:
        return []
    ids = str(rows["ids"].iloc[0]).split()
    found = warehouse.view(OVERRIDES_CURRENT, id=ids).set_index("id", drop=False).loc[ids]
    final = float(rows["override"].iloc[0])
    facts = found.astype(object).where(found.notna(), None).to_dict("records")
    return [{str(name): value for name, value in one.items()} | {"final": final} for one in facts]


@dataclass(frozen=True)
class _Vintage:
    """A vintage as overrides need it. mean: (n_series, horizon) units, in the order of the panel."""

    panel: Panel
    mean: Matrix

    @classmethod
    def newest(cls, settings: Settings, warehouse: Warehouse) -> Self:
        """The newest published one."""
        cutoff = next(iter(warehouse.cutoffs(most=1)), None)
        if cutoff is None:
            raise PublishError("There is no forecast to override yet: run a night first.")
        day = pd.Timestamp(cutoff)
        snapshot = str(warehouse.read(FORECASTS, ["snapshot"], cutoff=day, horizon=1)["snapshot"].iloc[0])
        panel, _ = kept_or_rebuilt(settings, cutoff, snapshot)
        rows = warehouse.read(FORECASTS, ["unique_id", "horizon", "mean"], cutoff=day)
        where = pd.Index(panel.unique_ids).get_indexer(pd.Index(rows["unique_id"]))
        mean = np.zeros((len(panel.y), int(rows["horizon"].max())), dtype=np.float32)
        mean[where[where >= 0], rows["horizon"].to_numpy(dtype=int)[where >= 0] - 1] = rows["mean"].to_numpy()[
            where >= 0
        ]
        return cls(panel, mean)

    @property
    def cutoff(self) -> date:
        return self.panel.cutoff

    @property
    def days(self) -> pd.DatetimeIndex:
        """First days of the horizon's periods."""
        return self.panel.future(self.mean.shape[1])

    @property
    def last(self) -> date:
        """Last day of the horizon."""
        return self.panel.frequency.end(self.days[-1])

    def check(self, wanted: Override) -> None:
        """Raises PlanningError for an override that cannot be taken."""
        check(wanted, self.panel.series, self.cutoff, self.last, self.panel.frequency)

    def changed(self, overrides: Sequence[Override], run_id: str) -> pd.DataFrame:
        """OVERRIDDEN of this vintage. An override of what the panel no longer has changes nothing."""
        holding, rows = [], []
        for one in sorted(overrides, key=lambda one: (one.at is not None, one.at, one.id)):
            if not one.holds(self.cutoff) or pd.Timestamp(one.end) < self.days[0]:
                continue
            try:
                rows.append(members(self.panel.series, one))
            except PlanningError:
                continue
            holding.append(one)
        applied = apply(self.mean, self.days, holding, rows, np.max(self.mean, axis=1) > 0)
        found = levels(self.panel.series, self.panel.levels) if holding else []
        table = effects(self.mean, self.days, found, holding, applied)
        return table.assign(cutoff=pd.Timestamp(self.cutoff), run_id=run_id)

    def told(self, made: Override, changed: pd.DataFrame) -> dict[str, Any]:
        """What came of an override that was just taken."""
        rows = changed[(changed["level"] == SERIES) & (changed["id"] == made.id)]
        return {
            "cutoff": self.cutoff.isoformat(),
            "series": int(rows["name"].nunique()),
            "periods": int(rows["ds"].nunique()),
            "before": round(float(rows["mean"].sum()), 3),
            "after": round(float(rows["override"].sum()), 3),
        }


def _new(row: pd.DataFrame) -> Change:
    return Change(OVERRIDES, row, {name: row[name].iloc[0] for name in OVERRIDES.partition})


def _row(made: Override, version: int, cutoff: date, state: str) -> pd.DataFrame:
    facts: dict[str, Any] = {name: getattr(made, name) for name in ("id", *FIELDS, "at")}
    facts |= {name: pd.Timestamp(getattr(made, name)) for name in ("start", "end")}
    facts |= {"version": version, "cutoff": pd.Timestamp(cutoff), "note": made.note or None, "state": state}
    return pd.DataFrame([facts | {"expires": pd.Timestamp(made.expires) if made.expires else pd.NaT}])


def _overrides(rows: pd.DataFrame) -> list[Override]:
    return [
        Override(
            **{name: row[name] for name in (*FIELDS, "id")},
            start=row["start"].date(),
            end=row["end"].date(),
            expires=None if pd.isna(row["expires"]) else row["expires"].date(),
            at=row["at"].to_pydatetime(),
        )
        for row in rows.to_dict("records")
    ]


def _version(current: pd.DataFrame, override_id: str, by: str) -> int:
    """The newest version of an active override."""
    mine = current[current["id"] == override_id]
    if mine.empty:
        active = current.loc[current["state"] == ACTIVE, "id"]
        raise PlanningError(f"There is no override {override_id!r}; active are: {some(active) or 'none'}.")
    if mine["state"].iloc[0] == WITHDRAWN:
        raise PlanningError(f"Override {override_id} was withdrawn already, by {mine['by'].iloc[0]}.")
    if not by.strip():
        raise PlanningError("by: it is empty; say who changes it.")
    return int(mine["version"].iloc[0])


def _beside(current: pd.DataFrame, wanted: Override, replaces: str | None, cutoff: date) -> tuple[int, pd.DataFrame]:
    """Version that it takes the place of (0: none), and the active ones that stay beside it.

    Raises PlanningError where that version is not there, or one that stays says the same: mostly a second click, and
    percentages would add on. One that has expired adds nothing.
    """
    before = _version(current, replaces, wanted.by) if replaces else 0
    others = current[(current["state"] == ACTIVE) & (current["id"] != replaces)]
    same = others[~(others["expires"] < pd.Timestamp(cutoff))]
    for name in ("level", "name", "kind", "value"):
        same = same[same[name] == getattr(wanted, name)]
    same = same[(same["start"] == pd.Timestamp(wanted.start)) & (same["end"] == pd.Timestamp(wanted.end))]
    if len(same):
        raise PlanningError(
            f"The same override is active already: {same['id'].iloc[0]}, by {same['by'].iloc[0]}. Withdraw or change "
            "that one, or say another value."
        )
    return before, others
