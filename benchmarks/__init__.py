"""Measure the project on data that it generates; run from the repository root."""
