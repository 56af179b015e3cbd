"""What operators call: trace, reproduce, rollback, retention, export, lineage."""
