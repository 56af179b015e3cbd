"""What is known beside demand: prices, promotions, events, and since when each is known."""
