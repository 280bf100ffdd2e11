"""How many matches a judgement needs."""

MIN_MATCHES = 100
"""Minimum number of settled matches. With fewer, the interval of a paired RPS difference is wider than the
difference between models."""
