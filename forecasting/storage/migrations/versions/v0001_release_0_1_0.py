"""Release 0.1.0: forecasts, backtests, scores, quality, runs."""

from forecasting.storage.migrations.operations import create, drop

revision, down_revision = "0001", None

TABLES = {
    "forecasts": (
        "cutoff unique_id ds",
        """cutoff date, unique_id text, ds date, horizon integer, mean number, p05 number, p10 number, p25 number,
        p50 number, p75 number, p90 number, p95 number, model text, model_version text, snapshot text, run_id
        text, status text, reason text?""",
    ),
    "forecast_levels": (
        "cutoff level name ds",
        """cutoff date, level text, name text, ds date, horizon integer, mean number, p05 number, p10 number, p25
        number, p50 number, p75 number, p90 number, p95 number, model text, model_version text, snapshot text,
        run_id text""",
    ),
    "forecast_sums": (
        "cutoff level name periods",
        """cutoff date, level text, name text, periods integer, mean number, p05 number, p10 number, p25 number,
        p50 number, p75 number, p90 number, p95 number, model text, model_version text, snapshot text, run_id
        text""",
    ),
    "backtests": (
        "cutoff model fold level metric",
        """cutoff date, model text, fold date, level text, metric text, value number?, weight number, champion
        flag, model_version text, snapshot text, run_id text""",
    ),
    "scores": (
        "cutoff level group bucket metric",
        """cutoff date, scored_at date, level text, group text, bucket text, metric text, value number?, periods
        integer, model_version text, run_id text""",
    ),
    "lost_demand": (
        "cutoff unique_id ds",
        """cutoff date, unique_id text, ds date, sold number, expected number, lost number, model_version text,
        run_id text""",
    ),
    "quality": (
        "cutoff table rule",
        """cutoff date, snapshot text, table text, rule text, severity text, read integer, clean integer,
        quarantined integer, passed flag, message text?, run_id text""",
    ),
    "quarantine": (
        "cutoff table row",
        """cutoff date, snapshot text, table text, row integer, rule text, reason text, content text, run_id text""",
    ),
    "runs": (
        "run_id step",
        """run_id text, step text, cutoff date, snapshot text?, model_version text?, rows integer?, seconds number,
        outcome text, message text?, started_at instant, settings text, code text""",
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
