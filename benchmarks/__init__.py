"""The project against its peers on public data. Run as `make bench`."""
