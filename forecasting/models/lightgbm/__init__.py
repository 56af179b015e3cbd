"""Gradient boosting with LightGBM: direct, recursive, by partition, tuned."""
