"""What the page's views and the report show, read from the tables: facts, never words; templates say them."""
