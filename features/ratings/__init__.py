"""Rating systems: one update rule a module, all run by `features.rating_history`."""
