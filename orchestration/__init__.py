"""When things are computed: the Dagster code location."""
