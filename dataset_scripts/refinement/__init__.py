"""Refinement: turn figures into conversations, written by a teacher and verified by checks."""
