"""What everything else is built on: errors, configuration, periods, the night and its cutoff."""
