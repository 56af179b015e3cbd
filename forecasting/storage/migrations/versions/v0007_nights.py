"""Nights: the date that was asked for, beside the cutoff, which is the end of the last whole period in every table."""

from forecasting.storage.migrations.operations import add, remove

revision, down_revision = "0007", "0006"

TABLES = ("quality", "quarantine", "runs")


def upgrade() -> None:
    """Columns of old rows stay empty: their cutoff is the date that was asked for."""
    for name in TABLES:
        add(name, "night date?")


def downgrade() -> None:
    """Take them away again, with what they hold."""
    for name in TABLES:
        remove(name, "night")
