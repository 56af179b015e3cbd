"""Steps of the DAG `monitor`: scores, drift, exceptions, health, alerts, the report."""
