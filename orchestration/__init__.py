"""When things are computed, and in which order: the Dagster side of Touchline."""
