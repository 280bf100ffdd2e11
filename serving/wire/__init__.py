"""The protocol of API and worker: queue, task names, messages, columns, results. Imports no framework."""
