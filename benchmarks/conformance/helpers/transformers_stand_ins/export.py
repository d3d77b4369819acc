"""Stands in for tests/exporters/test_export.py, which the archive leaves out."""


class ExportTesterMixin:
    """No tests."""
