"""Least rights on PostgreSQL as SQL: a role that writes the tables, and roles that only read them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from forecasting.core.config.sections import WarehouseSettings
from forecasting.core.errors import StoreError
from forecasting.storage.warehouse import database

_ROLE = (
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {text}) THEN "
    "CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE; END IF; END $$"
)


def statements(settings: WarehouseSettings, writer: str, readers: Sequence[str] = ()) -> list[str]:
    """What the database's owner runs once: roles without passwords, the schema, and rights.

    The writer owns the tables and makes new ones; a reader sees all of them, those to come too. Nobody else may
    connect. Raises StoreError for another database than PostgreSQL.
    """
    url = database.address(settings.url)
    if url.get_backend_name() != "postgresql" or not url.database:
        raise StoreError(
            "Rights are given on PostgreSQL: set warehouse.url to postgresql://user@host:5432/database, in the "
            "configuration or as FORECASTING__WAREHOUSE__URL."
        )
    preparer = database.engine(url).dialect.identifier_preparer
    base, schema, owner = (preparer.quote(name) for name in (url.database, settings.namespace or "public", writer))
    found = [_role(preparer, name) for name in (writer, *readers)]
    found += [
        f"REVOKE ALL ON DATABASE {base} FROM PUBLIC",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {base} TO {owner}",
        f"CREATE SCHEMA IF NOT EXISTS {schema}",
        f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {owner}",
    ]
    for reader in map(preparer.quote, readers):
        found += [
            f"GRANT CONNECT ON DATABASE {base} TO {reader}",
            f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
            f"ALTER ROLE {reader} SET default_transaction_read_only = on",
        ]
    return found


def _role(preparer: sa.sql.compiler.IdentifierPreparer, name: str) -> str:
    literal = sa.literal(name).compile(compile_kwargs={"literal_binds": True})
    return _ROLE.format(text=literal, name=preparer.quote(name))
