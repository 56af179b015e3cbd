"""Runs in a container: every output table as CSV, without what may differ between a night and the same night again.

Left out are the tables that tell of the work itself: what failed and was done again must stand in them.
"""

import json
import os
import sys

from forecasting.core.config import settings as configuration
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.warehouse import ALERTS, HEALTH, RUNS, WAREHOUSE

# Of a quarantined row: its place in the order and its text are the source's, and SQLite and PostgreSQL have their own.
AS_READ = {"quarantine": {"row", "content"}}
OWN = {"run_id", "decided_at", "model_version", "version", "withdrawn_at", "withdrawn_by"}

if __name__ == "__main__":
    warehouse = Warehouse(configuration.load(os.environ.get("FORECASTING_CONF", "conf/demo.toml")).warehouse)
    found = {}
    for table in WAREHOUSE:
        if table not in (RUNS, HEALTH, ALERTS):
            frame = warehouse.read(table)
            frame = frame[[name for name in frame if name not in OWN | AS_READ.get(table.name, set())]]
            found[table.name] = sorted(frame.to_csv(index=False, header=False).splitlines())
    json.dump(found, sys.stdout)
