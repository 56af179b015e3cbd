"""Planner page."""

from forecasting.storage.migrations.operations import create, drop

revision, down_revision = "0005", "0004"

TABLES = {
    "exception_states": (
        "cutoff unique_id",
        """cutoff date, unique_id text, state text, owner text, note text, at instant""",
    ),
}


def upgrade() -> None:
    """Create what is new."""
    for name, (key, columns) in TABLES.items():
        create(name, key, columns)


def downgrade() -> None:
    """Take it away again, with what it holds."""
    for name in TABLES:
        drop(name)
