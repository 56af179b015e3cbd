"""What the command line prints and runs; `__main__` only parses."""
