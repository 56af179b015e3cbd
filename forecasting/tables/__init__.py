"""Every table and view of the system: columns with kind, unit and meaning, key, partition."""
