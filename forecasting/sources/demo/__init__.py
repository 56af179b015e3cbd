"""The demo retailer: its database, days, stock, and shifts of its world."""
