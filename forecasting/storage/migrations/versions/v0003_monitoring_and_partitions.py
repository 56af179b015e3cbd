"""Monitoring by series, drift, exceptions, health and alerts; vintages in partitions by cutoff on PostgreSQL."""

from forecasting.storage.migrations.operations import add, create, divide, drop, join, remove

revision, down_revision = "0003", "0002"

DIVIDED = ("forecasts", "forecast_levels", "forecast_sums")
TABLES = {
    "series_scores": (
        "scored_at unique_id",
        """scored_at date, unique_id text, demand_class text, volume_class text, vintages integer, periods integer,
        wape number?, bias number?, mase number?, pinball number?, coverage number?, naive_wape number?,
        value_added number?, tracking_signal number?, wape_trend number?, run_id text""",
    ),
    "score_trends": (
        "scored_at level group bucket",
        """scored_at date, level text, group text, bucket text, vintages integer, wape number, wape_before number,
        change number?, slope number?, run_id text""",
    ),
    "drift": (
        "cutoff kind subject statistic",
        """cutoff date, kind text, subject text, statistic text, value number, threshold number, drifted flag,
        message text, run_id text""",
    ),
    "exceptions": (
        "cutoff unique_id",
        """cutoff date, unique_id text, rank integer, reason text, stake number, message text, model_version text,
        run_id text""",
    ),
    "explanations": (
        "cutoff unique_id ds model group",
        """cutoff date, unique_id text, ds date, model text, group text, units number, run_id text""",
    ),
    "health": (
        "cutoff sign",
        """cutoff date, sign text, value number?, unit text, threshold number?, breached flag, trend number?,
        message text, run_id text""",
    ),
    "alerts": (
        "name subject opened",
        """name text, subject text, severity text, message text, opened date, seen date, nights integer, closed
        date?, told text, run_id text""",
    ),
}


def upgrade() -> None:
    """Create what is new."""
    for name, (key, columns) in TABLES.items():
        create(name, key, columns)
    add("runs", "attempt integer?")
    for name in DIVIDED:
        divide(name)


def downgrade() -> None:
    """Take it away again, with what it holds."""
    for name in DIVIDED:
        join(name)
    remove("runs", "attempt")
    for name in TABLES:
        drop(name)
