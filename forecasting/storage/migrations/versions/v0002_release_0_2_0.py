"""Release 0.2.0: judged promotion, and vintages that were withdrawn."""

from forecasting.storage.migrations.operations import create, drop

revision, down_revision = "0002", "0001"

TABLES = {
    "forecasts_withdrawn": (
        "cutoff withdrawn_by unique_id ds",
        """cutoff date, unique_id text, ds date, horizon integer, mean number, p05 number, p10 number, p25 number,
        p50 number, p75 number, p90 number, p95 number, model text, model_version text, snapshot text, run_id
        text, status text, reason text?, withdrawn_by text, withdrawn_at instant, withdrawn_reason text""",
    ),
    "promotions": (
        "run_id version decision",
        """cutoff date, version text, decision text, champion text?, by text, reason text, note text?, metric
        text?, challenger_value number?, champion_value number?, naive_value number?, decided_at instant, run_id
        text""",
    ),
    "judgements": (
        "cutoff version rule segment",
        """cutoff date, version text, rival text, rule text, segment text, challenger number?, champion number?,
        improvement number?, low number?, high number?, passed flag, periods integer, run_id text""",
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
