"""What the API and the worker say to each other: queue, task names, messages, columns, results. Knows no framework."""
