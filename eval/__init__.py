"""Metrics, tasks and benchmarks."""
