"""Steps of the DAG `forecast`: vintage, overrides, orders."""
