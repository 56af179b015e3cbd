"""What each view shows, read from the tables: facts, never words; the templates say them in a language."""
