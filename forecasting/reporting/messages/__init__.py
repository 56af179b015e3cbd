"""Languages: words, numbers, dates, and translations of stored sentences."""
