"""Synthetic plots, with questions whose answers are computed from the plotted data."""
