"""Depth merges and mixtures of experts."""
