"""Drift of demand, inputs and errors."""
