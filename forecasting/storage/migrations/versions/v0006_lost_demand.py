"""Lost demand: orders say what is missing before they arrive, and what their target is."""

from forecasting.storage.migrations.operations import add, remove

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Columns of old rows stay empty."""
    add("replenishment", "target text?, lost number?")


def downgrade() -> None:
    """Take them away again, with what they hold."""
    remove("replenishment", "target", "lost")
