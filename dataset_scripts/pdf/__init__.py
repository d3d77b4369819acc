"""Figures, captions and regions of one PDF document."""
