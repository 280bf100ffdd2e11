"""Rating systems: one update rule per module, all run by `features.rating_history`."""
