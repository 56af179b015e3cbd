"""Scores of published vintages, of series, and their trends."""
