"""The versioned inputs (Delta), the panels and the shards."""
