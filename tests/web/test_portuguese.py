"""The page in Portuguese: also what the night has written into the tables."""

from __future__ import annotations

import pandas as pd

from forecasting.steps.forecast.replenish import replenish
from forecasting.steps.run import Run
from forecasting.storage.warehouse.warehouse import Warehouse
from forecasting.tables.planning import REPLENISHMENT
from forecasting.tables.warehouse import ALERTS


def test_what_the_night_wrote_is_told_in_portuguese(viewer, shop):
    warehouse = Warehouse(shop.settings.warehouse)
    orders = warehouse.read(REPLENISHMENT, cutoff=shop.last)
    replenish(shop.settings, shop.last.date(), Run("told"))
    key = {"name": "quality", "subject": "sales: silent_store", "opened": shop.last}
    message = f"sold nothing on {shop.last.date()}: S01"
    row = key | {"severity": "warning", "message": message, "seen": shop.last, "nights": 1, "closed": None}
    alert = pd.DataFrame([row | {"told": "log", "run_id": "told"}])
    warehouse.replace(ALERTS, alert, **key)
    try:
        page = viewer.get("/forecasts/replenishment?lang=pt").text
        assert "A demanda no prazo de entrega mais a revisão (" in page
        assert "Demand over" not in page
        page = viewer.get("/forecasts/?lang=pt").text
        assert "1.310,5 unidades; eram 1.100 para os mesmos períodos na previsão de" in page
        assert "qualidade dos dados: vendas: loja sem vendas</strong> não vendeu nada em" in page
        assert "primeira campeã: wrmsse " in viewer.get("/forecasts/models?lang=pt").text
        assert "sales: silent store</strong> sold nothing on" in viewer.get("/forecasts/?lang=en").text
    finally:
        warehouse.replace(REPLENISHMENT, orders, cutoff=shop.last)
        warehouse.replace(ALERTS, alert.iloc[:0], **key)
