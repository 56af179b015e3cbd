"""Which cells of the panel were observed: demand, zeros, closed days, deliveries that are missing."""
