"""Planning."""

from forecasting.storage.migrations.operations import create, drop

revision, down_revision = "0004", "0003"

TABLES = {
    "overrides": (
        "id version",
        """id text, version integer, level text, name text, start date, end date, kind text, value number, reason
        text, note text?, by text, at instant, cutoff date, expires date?, state text""",
    ),
    "overridden": (
        "cutoff level name ds",
        """cutoff date, level text, name text, ds date, mean number, override number, id text, ids text, run_id
        text""",
    ),
    "override_scores": (
        "scored_at kind group",
        """scored_at date, kind text, group text, vintages integer, periods integer, sold number, wape number?,
        statistical_wape number?, bias number?, statistical_bias number?, saved number, value_added number?,
        run_id text""",
    ),
    "replenishment": (
        "cutoff unique_id",
        """cutoff date, unique_id text, status text, abc text, xyz text, stock_date date?, on_hand number?,
        on_order number?, lead_time integer, review integer, service_level number, demand_mean number?,
        demand_quantile number?, safety_stock number?, reorder_point number?, order_up_to number?, pack_size
        number, minimum_order number, order number?, projected_stock number?, stock_out date?, risk number?, why
        text, model_version text, run_id text""",
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
