"""The Panel, the one door to history: how it is built, its groups of series, and memory for large matrices."""
