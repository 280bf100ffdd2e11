"""The Dagster pipeline: what is computed, when, and in which order."""
