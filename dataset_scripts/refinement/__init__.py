"""Refinement: from figures to conversations, written by a teacher and verified by checks."""
