"""Prediction intervals: quantiles from out-of-sample errors, by period, sum and level."""
