"""Sources of results and fixtures."""
