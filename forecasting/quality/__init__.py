"""Rows on their way in: parsed, screened, quarantined by rule; and rules about a night's rows as a whole."""
