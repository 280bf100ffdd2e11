"""Evaluation: data checks, drift, forecast scores, the promotion gate and Prometheus metrics."""
