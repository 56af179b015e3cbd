"""Where sales and what surrounds them come from. A new kind of source is one file here and one line in `KINDS`."""
