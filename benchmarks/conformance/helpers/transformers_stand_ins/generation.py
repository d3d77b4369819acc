"""Stands in for tests/generation/test_utils.py, which the archive leaves out."""


class GenerationTesterMixin:
    """No tests."""
