"""The views of the warehouse (tables/views.py) as SQL, the same for SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from forecasting.panel.hierarchy import SERIES
from forecasting.storage.warehouse.sqlalchemy_tables import quoted
from forecasting.tables.planning import OVERRIDDEN
from forecasting.tables.views import (
    FORECAST_LEVELS_LATEST,
    FORECASTS_LATEST,
    FORECASTS_LONG,
    METRICS,
    NUMBERS,
    SCORES_WIDE,
    VIEWS,
    View,
)
from forecasting.tables.warehouse import FORECAST_LEVELS, FORECASTS

Relations = Mapping[str, sa.Table]
NEEDS = {
    FORECASTS_LATEST.name: (OVERRIDDEN,),
    FORECAST_LEVELS_LATEST.name: (OVERRIDDEN,),
    FORECASTS_LONG.name: (FORECAST_LEVELS, OVERRIDDEN),
}


def views(relations: Relations) -> list[View]:
    """Those whose tables are all there."""
    return [view for view in VIEWS if {one.name for one in (view.table, *NEEDS.get(view.name, ()))} <= set(relations)]


def create(connection: sa.Connection, view: View, relations: Relations, schema: str | None) -> None:
    """Make the view anew, within the connection's transaction."""
    place = quoted(connection.dialect, view.name, schema)
    statement = _STATEMENTS.get(view.name, _newest)(view, relations)
    body = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(f"DROP VIEW IF EXISTS {place}")
    # Taken as it stands: a % in it is no place for a value.
    connection.exec_driver_sql(f"CREATE VIEW {place} AS {body}", execution_options={"no_parameters": True})
    if connection.dialect.supports_comments:
        about = view.about.replace("'", "''")
        connection.exec_driver_sql(f"COMMENT ON VIEW {place} IS '{about}'", execution_options={"no_parameters": True})


def _newest(view: View, relations: Relations) -> Any:
    relation = relations[view.table.name]
    return sa.select(relation).where(_is_newest(view, relation))


def _is_newest(view: View, relation: sa.Table) -> sa.ColumnElement[bool]:
    """The row has the largest value of the view's column, of all or of its own kind."""
    other = relation.alias("others")
    newest = sa.select(sa.func.max(other.columns[view.newest]))
    newest = newest.where(*(other.columns[name] == relation.columns[name] for name in view.each))
    return relation.columns[view.newest] == newest.correlate(relation).scalar_subquery()


def _changed(view: View, relations: Relations) -> Any:
    """The newest vintage beside what people made of it."""
    relation, overridden = relations[view.table.name], relations[OVERRIDDEN.name]
    level, name = _place(relation)
    override = overridden.columns["override"]
    final = sa.func.coalesce(override, relation.columns["mean"]).label("final")
    joined = relation.outerjoin(overridden, _same(relation, level, name, overridden))
    return sa.select(*relation.columns, override, final).select_from(joined).where(_is_newest(view, relation))


def _place(relation: sa.Table) -> tuple[Any, Any]:
    """Level and name of its rows."""
    if "unique_id" in relation.columns:
        return sa.literal(SERIES), relation.columns["unique_id"]
    return relation.columns["level"], relation.columns["name"]


def _same(relation: sa.Table, level: Any, name: Any, overridden: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        overridden.columns["cutoff"] == relation.columns["cutoff"],
        overridden.columns["level"] == level,
        overridden.columns["name"] == name,
        overridden.columns["ds"] == relation.columns["ds"],
    )


def _long(view: View, relations: Relations) -> Any:
    """Series and levels below each other, a row a number."""
    overridden, parts = relations[OVERRIDDEN.name], []
    for table in (FORECAST_LEVELS, FORECASTS):
        relation = relations[table.name]
        level, name = _place(relation)
        override = overridden.columns["override"]
        final = sa.func.coalesce(override, relation.columns["mean"])
        joined = relation.outerjoin(overridden, _same(relation, level, name, overridden))
        for measure, value in {
            **{number: relation.columns[number] for number in NUMBERS}, "override": override, "final": final,
        }.items():  # fmt: skip
            row = sa.select(
                relation.columns["cutoff"], level.label("level"), name.label("name"), relation.columns["ds"],
                relation.columns["horizon"], sa.literal(measure).label("measure"), value.label("value"),
            ).select_from(relation if measure in NUMBERS else joined)  # fmt: skip
            row = row.where(_is_newest(view, relation))
            parts.append(row.where(override.is_not(None)) if measure == "override" else row)
    return sa.union_all(*parts)


def _wide(view: View, relations: Relations) -> Any:
    """A column a metric."""
    scores = relations[view.table.name].columns
    keys = [scores[name] for name in view.key]
    metrics = [sa.func.max(sa.case((scores["metric"] == metric, scores["value"]))).label(metric) for metric in METRICS]
    seen = [sa.func.max(scores["scored_at"]).label("scored_at"), sa.func.max(scores["periods"]).label("periods")]
    return sa.select(*keys, *seen, *metrics).group_by(*keys)


_STATEMENTS: Mapping[str, Callable[[View, Relations], Any]] = {
    FORECASTS_LATEST.name: _changed,
    FORECAST_LEVELS_LATEST.name: _changed,
    FORECASTS_LONG.name: _long,
    SCORES_WIDE.name: _wide,
}
