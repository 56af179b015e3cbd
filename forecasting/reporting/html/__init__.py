"""The report of a night: one HTML file that needs nothing else, made of what the tables hold."""
