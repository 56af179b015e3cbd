"""How good forecasts are: measures, backtests, the choice of a champion and its promotion."""
