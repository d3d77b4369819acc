"""Measurements of Cephalo, not part of its wheel: run from the repository root."""
