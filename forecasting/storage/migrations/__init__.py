"""The tables of the warehouse from release to release: a revision a change, up and down, by Alembic.

A fresh warehouse is made in one go and numbered as the newest; any other one goes from revision to revision. Views and
comments follow from the code and are made anew at the end. A new one: `python -m forecasting.storage.migrations NAME`.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from forecasting.core.errors import StoreError
from forecasting.storage.warehouse import views
from forecasting.storage.warehouse.sqlalchemy_tables import quoted
from forecasting.tables.views import VIEWS

if TYPE_CHECKING:
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

FOLDER = Path(__file__).parent / "versions"
KNOWN = sorted(file.stem[1:5] for file in FOLDER.glob("v[0-9]*.py"))
HEAD = KNOWN[-1]
NUMBERED = "forecasting_revision"  # the table that holds the revision; Airflow's, Alembic's own name, may lie beside it
PARTS = sa.text(
    "SELECT relname, relkind::text, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, "
    "privilege_type FROM pg_class, aclexplode(relacl) "
    "WHERE relnamespace = to_regnamespace(coalesce(:schema, current_schema())) AND relkind IN ('r', 'p', 'v') "
    "AND NOT relispartition AND grantee <> relowner"
)
_one = threading.Lock()  # Alembic's `op` is one for the process


def revision(connection: sa.Connection, metadata: sa.MetaData) -> str | None:
    """The warehouse's revision; None: none of ours is there yet, or it is older than revisions are.

    Raises StoreError for one that this code does not know.
    """
    if not sa.inspect(connection).has_table(NUMBERED, schema=metadata.schema):
        return None
    found: str | None = connection.execute(sa.select(_number(metadata).columns["version_num"])).scalar()
    if found is not None and found not in KNOWN:
        raise StoreError(
            f"The warehouse is of a newer release than this code: revision {found}, known are {KNOWN[0]} to {HEAD}. "
            f"Use that release, or go back with it: python -m forecasting migrate --to {HEAD}"
        )
    return found


def migrate(connection: sa.Connection, metadata: sa.MetaData, to: str = HEAD) -> None:
    """Bring the tables to a revision ("base": none of them), within the connection's transaction.

    Raises StoreError for a revision that is not known, and where a table cannot be brought to it.
    """
    there, inspector = revision(connection, metadata), sa.inspect(connection)
    if (
        metadata.schema and metadata.schema not in inspector.get_schema_names()
    ):  # one that is there takes no right to make
        connection.execute(sa.schema.CreateSchema(metadata.schema, if_not_exists=True))
    ours = {table.name for table in metadata.tables.values()}
    if there is None and to == HEAD and not ours & set(inspector.get_table_names(schema=metadata.schema)):
        metadata.create_all(connection)
        number = _number(metadata)
        number.create(connection)
        connection.execute(sa.insert(number).values(version_num=HEAD))
        _finish(connection, metadata, comments=False)
        return
    rights = _rights(connection, metadata)
    for name in sorted({view.name for view in VIEWS} & set(inspector.get_view_names(schema=metadata.schema))):
        connection.exec_driver_sql(f"DROP VIEW {quoted(connection.dialect, name, metadata.schema)}")
    revisions(connection, metadata, there, to)
    if to == HEAD:
        _finish(connection, metadata, comments=True)
    else:
        _older_views(connection, metadata)
    _grant(connection, metadata, rights)


def revisions(connection: sa.Connection, metadata: sa.MetaData, there: str | None = None, to: str = HEAD) -> None:
    """Go from revision to revision, and nothing else: tables and columns, no views, no comments."""
    with _alembic(there or "base", to) as environment:
        environment.configure(connection=connection, **_options(metadata))
        environment.run_migrations()


def script(url: sa.URL, metadata: sa.MetaData, there: str | None, to: str = HEAD) -> str:
    """The SQL of `migrate`, without comments on columns, for somebody else to run."""
    written = io.StringIO()
    noted = _Notes(url.get_dialect()())
    with _alembic(there or "base", to, as_sql=True) as environment:
        environment.configure(url=url, output_buffer=written, literal_binds=True, **_options(metadata))
        environment.run_migrations()
    for name in sorted(view.name for view in VIEWS):
        noted.exec_driver_sql(f"DROP VIEW IF EXISTS {quoted(noted.dialect, name, metadata.schema)}")
    before, noted.statements = noted.statements, []
    if to == HEAD:
        tables = {table.name: table for table in metadata.tables.values()}
        for view in views.views(tables):
            views.create(noted, view, tables, metadata.schema)  # type: ignore[arg-type]  # as far as it goes
    lines = [f"{one};" for one in ("BEGIN", *before)]
    return "\n\n".join([*lines, written.getvalue().strip(), *(f"{one};" for one in (*noted.statements, "COMMIT"))])


class _Notes:
    """Stands where a connection would, and keeps what is said to it."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self.dialect = dialect
        self.statements: list[str] = []

    def exec_driver_sql(self, statement: str, **_options: Any) -> None:
        """Nothing is executed."""
        self.statements.append(statement)


@contextmanager
def _alembic(there: str, to: str, as_sql: bool = False) -> Iterator[EnvironmentContext]:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    if to not in ("base", *KNOWN):
        raise StoreError(f"There is no revision {to} of the warehouse; there are: base, {', '.join(KNOWN)}.")
    scripts = ScriptDirectory(str(FOLDER.parent), version_locations=[str(FOLDER)])
    down = to == "base" or (there != "base" and there > to)

    def steps(found: Any, _context: Any) -> Iterable[Any]:
        return _steps(scripts, found or there, to, down)

    with _one, EnvironmentContext(
        Config(), scripts, fn=steps, as_sql=as_sql, starting_rev=there if as_sql else None, destination_rev=to
    ) as environment:  # fmt: skip
        yield environment


def _steps(scripts: ScriptDirectory, found: Any, to: str, down: bool) -> Iterable[Any]:
    """Up, or down; Alembic's own commands call the same two, for which it has no public name."""
    found = None if found in ("base", ()) else found
    if down and found is None:
        return []
    return scripts._downgrade_revs(to, found) if down else scripts._upgrade_revs(to, found)  # noqa: SLF001


def _options(metadata: sa.MetaData) -> dict[str, Any]:
    return {"version_table": NUMBERED, "version_table_schema": metadata.schema, "target_metadata": metadata}


def _number(metadata: sa.MetaData) -> sa.Table:
    column = sa.Column("version_num", sa.String(32), primary_key=True)
    return sa.Table(NUMBERED, sa.MetaData(schema=metadata.schema), column)


def _finish(connection: sa.Connection, metadata: sa.MetaData, comments: bool) -> None:
    """Views over the tables that are there, and comments of the newest revision."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names(schema=metadata.schema))
    tables = {table.name: table for table in metadata.tables.values() if table.name in there}
    for view in views.views(tables):
        views.create(connection, view, tables, metadata.schema)
    if comments and connection.dialect.supports_comments:
        for table in tables.values():
            connection.execute(sa.schema.SetTableComment(table))
            for column in table.columns:
                connection.execute(sa.schema.SetColumnComment(column))


def _grant(connection: sa.Connection, metadata: sa.MetaData, rights: dict[str, set[tuple[str, str]]]) -> None:
    inspector = sa.inspect(connection)
    there = {*inspector.get_table_names(schema=metadata.schema), *inspector.get_view_names(schema=metadata.schema)}
    for name in sorted(set(rights) & there):
        for role, right in sorted(rights[name]):
            place = quoted(connection.dialect, name, metadata.schema)
            connection.exec_driver_sql(f"GRANT {right} ON {place} TO {role}")


def _older_views(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """What the releases before read by; they make the rest themselves."""
    there = set(sa.inspect(connection).get_table_names(schema=metadata.schema))
    for table, same in {"forecasts": "", "health": "WHERE other.sign = one.sign"}.items():
        if table in there:
            view, place = (quoted(connection.dialect, name, metadata.schema) for name in (f"{table}_latest", table))
            newest = f"SELECT max(other.cutoff) FROM {place} AS other {same}"
            connection.exec_driver_sql(
                f"CREATE VIEW {view} AS SELECT * FROM {place} AS one WHERE one.cutoff = ({newest})"
            )


def _rights(connection: sa.Connection, metadata: sa.MetaData) -> dict[str, set[tuple[str, str]]]:
    """Who else may do what with tables and views: a table that is made anew would forget it."""
    found: dict[str, set[tuple[str, str]]] = {}
    if connection.dialect.name == "postgresql":
        for name, _, role, right in connection.execute(PARTS, {"schema": metadata.schema}):
            found.setdefault(name, set()).add((role, right))
    return found
