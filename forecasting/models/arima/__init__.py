"""ARIMA: the model, the search for an order, estimation, worker processes."""
